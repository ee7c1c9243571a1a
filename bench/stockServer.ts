/**
 * The stock arrangement as a process: the compiled server, with the package's middleware and the SDK's wallet in
 * the place of its own authentication.
 */
import { createAuthMiddleware } from '@bsv/auth-express-middleware'
import { PrivateKey, ProtoWallet, type WalletInterface } from '@bsv/sdk'
import express from 'express'
import { join } from 'node:path'
import { parseConfig, readEnv } from '../src/config'

async function main (): Promise<void> {
  const compiled = join(__dirname, '..', 'dist', 'src', 'server.js')
  const { MessageBoxServer } = await import(compiled) as typeof import('../src/server')
  const config = parseConfig(readEnv(process.env))
  const wallet = new ProtoWallet(new PrivateKey(config.auth.privateKey!.reveal(), 'hex'))
  const server = await MessageBoxServer.create(config, {
    auth: [
      express.json({ limit: config.http.maxBodyBytes }),
      // The wallet does all that authentication asks for; the rest of the interface is never called.
      createAuthMiddleware({ wallet: wallet as unknown as WalletInterface })
    ]
  })
  const port = await server.start()
  process.stdout.write(`{"url":"http://localhost:${port}"}\n`)
  process.once('SIGTERM', () => { void server.stop().then(() => process.exit(0)) })
}

main().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`)
  process.exit(1)
})
