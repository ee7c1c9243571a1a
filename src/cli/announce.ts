import { usesNativeSecp256k1 } from '../auth/wallet'
import type { Context } from '../context'

/** Says, once the port is open, what runs here: readable in development, a log line elsewhere. */
export function announce ({ config, wallet, logger }: Context, port: number): void {
  const url = config.http.hostingDomain ?? `http://localhost:${port}${config.http.prefix}`
  const database = describeDatabase(config.db)
  const cryptography = usesNativeSecp256k1 ? 'native libsecp256k1' : 'JavaScript'
  if (!usesNativeSecp256k1) logger.warn('secp256k1 has no native build for this platform: signatures are about ten times slower in JavaScript')
  if (config.env !== 'development') {
    logger.info({ url, port, identityKey: wallet.identityKey, database, network: config.network, cryptography, env: config.env }, 'listening')
    return
  }
  process.stdout.write([
    '',
    `  MessageBox server at ${url}`,
    '',
    `  identity key  ${wallet.identityKey}`,
    `  database      ${database}`,
    `  network       ${config.network}`,
    `  cryptography  ${cryptography}`,
    '',
    '  Try it: npm run demo   (in another terminal)',
    '', ''
  ].join('\n'))
}

function describeDatabase ({ client, connection }: Context['config']['db']): string {
  if (client === 'better-sqlite3') return `SQLite, ${String(connection.filename)}`
  return `MySQL, ${String(connection.database)} at ${String(connection.socketPath ?? `${String(connection.host ?? 'localhost')}:${String(connection.port ?? 3306)}`)}`
}
