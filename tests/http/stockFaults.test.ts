/**
 * What the stock pieces get wrong, one test each. Every attack runs against this server and against the stock
 * arrangement under the same routes, where it succeeds: so no test here can pass for the wrong reason.
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

/** True where the attack succeeded. */
type Attack = (server: TestServer) => Promise<boolean>

const JSON_TYPE = { 'content-type': 'application/json' }

const attacks: Array<[name: string, attack: Attack]> = [
  [
    'a stranger with a session of its own lists as somebody else',
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
      // The stock middleware signs its answer for the victim, for whom it has a session.
      const response = await fetch(request.url, {
        ...request.init,
        signal: AbortSignal.timeout(5000),
      } as RequestInit)
      const { messages = [] } = (await response.json()) as { messages?: unknown[] }
      return messages.length > 0
    },
  ],

  [
    "a handshake in somebody's name takes their response away",
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
    'a stranger is heard out before being refused',
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
    'a correctly signed body with a blank in it is refused',
    async ({ host }) => {
      const session = await handshake(host)
      return (
        (await post(session, '/listMessages', '{ "messageBox": "\\u0069nbox", "limit": 1.0 }'))
          .status !== 200
      )
    },
  ],

  [
    'a content type with a charset is refused',
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

/** Holds every send between its request and its response, while a test lets something else happen. */
let hold = async (): Promise<void> => {}

/** A send that is under way while `meanwhile` happens; sends to oneself. */
async function heldSend(session: HandSession, meanwhile: () => Promise<void>): Promise<Answer> {
  hold = async () => {
    const since = Date.now()
    await meanwhile()
    // The stock pieces go by the clock: what happened meanwhile must be later than the request.
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

/** Whether a request without a session is answered though its body has only begun. */
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

describe('what the stock pieces get wrong', () => {
  test.each(attacks)('%s: not here', async (_name, attack) => {
    expect(
      await attack(
        await startServer({
          overrides: { policy: async () => await hold().then(() => FREE_OF_CHARGE) },
        }),
      ),
    ).toBe(false)
  })

  test.each(attacks)('%s: but there', async (_name, attack) => {
    expect(
      await attack(
        await startServer({
          overrides: {
            policy: async () => await hold().then(() => FREE_OF_CHARGE),
            auth: stockAuth(),
          },
        }),
      ),
    ).toBe(true)
  })
})
