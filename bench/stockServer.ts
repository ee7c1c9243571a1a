/**
 * The compiled server as a process with stock parts: `stock` uses the package's middleware and the
 * SDK's wallet for HTTP; `proto` uses only the SDK's wallet, for the socket.
 */
import { createAuthMiddleware } from '@bsv/auth-express-middleware'
import { PrivateKey, ProtoWallet, type WalletInterface } from '@bsv/sdk'
import express from 'express'
import { join } from 'node:path'
import { parseConfig, readEnv, type Config } from '../src/config'
import type { Overrides } from '../src/context'
import { protoWallet } from './protoWallet'

async function main(): Promise<void> {
  const compiled = join(__dirname, '..', 'dist', 'src', 'server.js')
  const { MessageBoxServer } = (await import(compiled)) as typeof import('../src/server')
  const config = parseConfig(readEnv(process.env))
  const server = await MessageBoxServer.create(
    config,
    process.argv[2] === 'proto' ? proto(config) : stock(config),
  )
  await server.start()
  process.once('SIGTERM', () => {
    void server.stop().then(() => process.exit(0))
  })
}

function stock({ auth, http }: Config): Overrides {
  const wallet = new ProtoWallet(new PrivateKey(auth.privateKey!.reveal(), 'hex'))
  return {
    auth: [
      express.json({ limit: http.maxBodyBytes }),
      // Authentication calls only what this wallet has of the interface.
      createAuthMiddleware({ wallet: wallet as unknown as WalletInterface }),
    ],
  }
}

function proto({ auth }: Config): Overrides {
  return { serverKey: protoWallet(auth.privateKey!.reveal()) }
}

main().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`)
  process.exit(1)
})
