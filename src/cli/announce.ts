import { usesNativeSecp256k1 } from '../auth/serverKey'
import type { Context } from '../context'
import { describeDatabase } from './wording'

/** Describes the started server: on standard output in development, else in the log. */
export function announce(
  { config, serverKey, logger }: Pick<Context, 'config' | 'serverKey' | 'logger'>,
  port: number,
): void {
  const url = config.http.hostingDomain ?? `http://localhost:${port}${config.http.prefix}`
  const database = describeDatabase(config.db)
  const cryptography = usesNativeSecp256k1 ? 'native libsecp256k1' : 'JavaScript'
  if (!usesNativeSecp256k1)
    logger.warn(
      'secp256k1 has no native build for this platform: ' +
        'signatures are about ten times slower in JavaScript',
    )
  if (config.env !== 'development') {
    logger.info(
      {
        url,
        port,
        identityKey: serverKey.identityKey,
        database,
        network: config.network,
        live: config.live.enabled,
        cryptography,
        env: config.env,
        ...(config.workers > 1 && { workers: config.workers }),
      },
      'listening',
    )
    return
  }
  process.stdout.write(
    [
      '',
      `  MessageBox server at ${url}`,
      '',
      `  identity key  ${serverKey.identityKey}`,
      `  database      ${database}`,
      `  network       ${config.network}`,
      `  live messages ${config.live.enabled ? 'on' : 'off'}`,
      `  cryptography  ${cryptography}`,
      '',
      config.pages.try
        ? '  Try it: open it in a browser, or, in another terminal, npm run demo'
        : '  Try it: npm run demo   (in another terminal)',
      '',
      '',
    ].join('\n'),
  )
}
