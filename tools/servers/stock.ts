/**
 * The stock authentication: the released middleware with the SDK's ProtoWallet, either for this
 * server's routes or before an echo handler. Tests of its faults run against it too, to show that
 * they can fail.
 */
import { createAuthMiddleware } from '@bsv/auth-express-middleware'
import { PrivateKey, ProtoWallet, type WalletInterface } from '@bsv/sdk'
import express, { type RequestHandler } from 'express'

export function stockAuth(key: PrivateKey = PrivateKey.fromRandom()): RequestHandler[] {
  const wallet = new ProtoWallet(key) as unknown as WalletInterface
  return [
    express.json({ limit: '10mb' }),
    express.urlencoded({ extended: false, limit: '10mb' }),
    express.text({ limit: '10mb' }),
    express.raw({ limit: '10mb', type: 'application/octet-stream' }),
    createAuthMiddleware({ wallet }) as RequestHandler,
  ]
}
