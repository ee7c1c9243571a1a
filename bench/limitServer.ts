/**
 * What a core can do at most, as a server of its own: `POST /nothing` is an Express route that does
 * nothing, and `GET /curve?ms=N` computes signatures for so long and answers how many a second.
 */
import express from 'express'
import { createHash, randomBytes } from 'node:crypto'
import { NativeServerKey, type KeyName } from '../src/auth/serverKey'
import { newWallet } from '../tools/clients/session'

const app = express()
app.get('/health', (_req, res) => {
  res.json({ status: 'success' })
})
app.post('/nothing', (_req, res) => {
  res.json({ status: 'success' })
})
app.get('/curve', (req, res) => {
  res.json({ perSecond: measureCurve(Number(req.query.ms)) })
})
app.listen(Number(process.env.PORT))

/** The signatures of a request: derives the keys, verifies one signature and makes another. */
function measureCurve(durationMs: number): number {
  const server = newWallet()
  const client = newWallet()
  const keyOf = (counterparty: NativeServerKey): KeyName => ({
    protocolID: [2, 'auth message signature'],
    keyID: `${randomBytes(32).toString('base64')} ${randomBytes(48).toString('base64')}`,
    counterparty: counterparty.identityKey,
  })
  const hash = createHash('sha256').update('a request').digest()
  const requests = Array.from({ length: 500 }, () => {
    const key = keyOf(server)
    return {
      key: { ...key, counterparty: client.identityKey },
      signature: client.signHash(hash, key),
    }
  })
  const started = performance.now()
  let done = 0
  while (performance.now() - started < durationMs) {
    for (const { key, signature } of requests) {
      if (!server.verifyHash(hash, signature, key)) throw new Error('a signature does not hold')
      server.signHash(hash, key)
    }
    done += requests.length
  }
  return (done * 1000) / (performance.now() - started)
}
