/**
 * Attacks on the stock middleware, one test each. Each attack must fail against this server. It
 * must
 * succeed against the stock middleware under the same routes, which proves that the attack works.
 */
import { describe, expect, test } from '@jest/globals'
import { FREE_OF_CHARGE } from '../../src/permissions/rules'
import { PrivateKey } from '@bsv/sdk'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { newClient } from '../../tools/clients/clients'
import { startServer, type TestServer } from '../../tools/servers/server'
import {
  handshake,
  post,
  sign,
  submit,
  type Answer,
  type HandSession,
} from '../../tools/clients/signedRequests'
import { stockAuth } from '../../tools/servers/stock'

/** Resolves to true if the attack succeeded. */
type Attack = (server: TestServer) => Promise<boolean>

const JSON_TYPE = { 'content-type': 'application/json' }

const attacks: Array<[name: string, attack: Attack]> = [
  [
    'a client with its own session lists the messages of another identity',
    async ({ host }) => {
      const victim = await newClient(host)
      await victim.client.sendMessage(
        { recipient: victim.identityKey, messageBox: 'inbox', body: 'secret' },
        host,
      )
      const mallory = await handshake(host)
      const request = await sign(mallory, {
        target: '/listMessages',
        headers: JSON_TYPE,
        body: '{"messageBox":"inbox"}',
      })
      request.init.headers['x-bsv-auth-identity-key'] = victim.identityKey
      // The stock middleware signs its answer for the victim, since it has a session of the victim.
      const response = await fetch(request.url, {
        ...request.init,
        signal: AbortSignal.timeout(5000),
      } as RequestInit)
      const { messages = [] } = (await response.json()) as { messages?: unknown[] }
      return messages.length > 0
    },
  ],

  [
    "a handshake in a client's name diverts that client's response",
    async ({ host }) => {
      const victim = await handshake(host)
      return !(
        await heldSend(victim, async () => {
          await fetch(`${host}/.well-known/auth`, {
            method: 'POST',
            headers: JSON_TYPE,
            body: JSON.stringify({
              version: '0.1',
              messageType: 'initialRequest',
              identityKey: victim.identityKey,
              initialNonce: randomBytes(48).toString('base64'),
            }),
          })
        })
      ).verified
    },
  ],

  [
    "two devices of one identity get each other's responses",
    async ({ host }) => {
      const key = PrivateKey.fromRandom()
      const [phone, desk] = [await handshake(host, key), await handshake(host, key)]
      return !(
        await heldSend(phone, async () => {
          await post(desk, '/listMessages', { messageBox: 'inbox' })
        })
      ).verified
    },
  ],

  [
    'a captured request is answered again',
    async ({ host }) => {
      const session = await handshake(host)
      const request = await sign(session, {
        target: '/listMessages',
        headers: JSON_TYPE,
        body: '{"messageBox":"inbox"}',
      })
      expect((await submit(session, request)).status).toBe(200)
      return (await submit(session, request)).status === 200
    },
  ],

  [
    'the whole body of an unauthenticated request is read before it is rejected',
    async ({ server }) => {
      return !(await answersBeforeBody(server.port))
    },
  ],

  [
    'a body that differs from the signed bytes is accepted',
    async ({ host }) => {
      const session = await handshake(host)
      const request = await sign(
        session,
        { target: '/listMessages', headers: JSON_TYPE, body: '{"messageBox":  "inbox"}' },
        { body: '{"messageBox":"inbox"}' },
      )
      return (await submit(session, request)).status === 200
    },
  ],

  [
    'a correctly signed body that contains a space is rejected',
    async ({ host }) => {
      const session = await handshake(host)
      return (
        (await post(session, '/listMessages', '{ "messageBox": "\\u0069nbox", "limit": 1.0 }'))
          .status !== 200
      )
    },
  ],

  [
    'a content type with a charset is rejected',
    async ({ host }) => {
      const session = await handshake(host)
      const request = await sign(session, {
        target: '/listMessages',
        headers: { 'content-type': 'application/json; charset=utf-8' },
        body: '{"messageBox":"inbox"}',
      })
      return (await submit(session, request)).status !== 200
    },
  ],
]

/** Delays every send between its request and its response, while the test does something else. */
let hold = async (): Promise<void> => {}

/** Sends a message to the sender itself, and runs `meanwhile` before the response. */
async function heldSend(session: HandSession, meanwhile: () => Promise<void>): Promise<Answer> {
  hold = async () => {
    const since = Date.now()
    await meanwhile()
    // The stock middleware compares times: what ran meanwhile must be later than the request.
    expect(Date.now()).toBeGreaterThan(since)
  }
  try {
    return await post(session, '/sendMessage', {
      message: { recipient: session.identityKey, messageBox: 'inbox', messageId: '1', body: 'x' },
    })
  } finally {
    hold = async () => {}
  }
}

/** Whether the server answers a request without a session before its body has arrived. */
async function answersBeforeBody(port: number): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(
        'POST /sendMessage HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9000000\r\n\r\n{"message":',
      )
    })
    const settle = (answered: boolean) => (): void => {
      socket.destroy()
      resolve(answered)
    }
    socket.setTimeout(1500, settle(false))
    socket.on('data', settle(true))
    socket.on('error', reject)
  })
}

describe('faults of the stock middleware', () => {
  test.each(attacks)('%s: fails against this server', async (_name, attack) => {
    expect(
      await attack(
        await startServer({
          overrides: { priceOf: async () => await hold().then(() => FREE_OF_CHARGE) },
        }),
      ),
    ).toBe(false)
  })

  test.each(attacks)('%s: succeeds against the stock middleware', async (_name, attack) => {
    expect(
      await attack(
        await startServer({
          overrides: {
            priceOf: async () => await hold().then(() => FREE_OF_CHARGE),
            auth: stockAuth(),
          },
        }),
      ),
    ).toBe(true)
  })
})
