import { expect, test } from '@jest/globals'
import { connect } from 'node:net'
import { FREE_OF_CHARGE, type Price } from '../../src/permissions/rules'
import { until } from '../../tools/clients/live'
import { expectError } from '../../tools/contract/refusals'
import { startServer } from '../../tools/servers/server'
import {
  handshake,
  post,
  sign,
  type Answer,
  type HandSession,
} from '../../tools/clients/signedRequests'

const send = async (session: HandSession, messageId: string): Promise<Answer> => {
  return await post(session, '/sendMessage', {
    message: { recipient: session.identityKey, messageBox: 'inbox', messageId, body: 'hello' },
  })
}

test('the server rejects requests over the maximum until others are done', async () => {
  const { priceOf, held, open } = holdBack()
  const { origin, server } = await startServer({
    env: { MAX_CONCURRENT_REQUESTS: '5' },
    overrides: { priceOf },
  })
  const alice = await handshake(origin)
  const working = Array.from(
    { length: 5 },
    async (_value, index) => await send(alice, `id ${index}`),
  )
  await until(() => held() === 5)

  const refused = await Promise.all(
    Array.from({ length: 20 }, async (_value, index) => await send(alice, `other ${index}`)),
  )
  for (const answer of refused) {
    expectError(answer, [503, 'ERR_SERVER_BUSY'])
    // The server has not verified the signature, so the answer is not signed.
    expect(answer.verified).toBe(false)
    expect(answer.headers.get('retry-after')).toBe('1')
  }
  expect((await fetch(`${origin}/.well-known/auth`, { method: 'POST', body: '{}' })).status).toBe(
    503,
  )
  for (const path of ['/health', '/ready', '/info'])
    expect((await fetch(`${origin}${path}`)).status).toBe(200)

  open()
  expect((await Promise.all(working)).map(({ status }) => status)).toEqual([
    200, 200, 200, 200, 200,
  ])
  expect((await send(alice, 'later')).status).toBe(200)
  expect(server.context.limits.gate.working).toBe(0)
})

/** A price that lets nothing pass until it is told to; it knows how many it holds. */
function holdBack(): { priceOf: () => Promise<Price>; held: () => number; open: () => void } {
  let held = 0
  let open = (): void => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  return {
    held: () => held,
    open: () => {
      open()
    },
    async priceOf() {
      held++
      await gate
      return FREE_OF_CHARGE
    },
  }
}

test('a request whose client disconnects counts until its work is done', async () => {
  const { priceOf, held, open } = holdBack()
  const { origin, server } = await startServer({
    env: { MAX_CONCURRENT_REQUESTS: '2' },
    overrides: { priceOf },
  })
  const alice = await handshake(origin)
  const ask = async (
    messageId: string,
  ): Promise<{ answer: Promise<number | string>; leave: () => void }> => {
    const { url, init } = await sign(alice, {
      target: '/sendMessage',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        message: { recipient: alice.identityKey, messageBox: 'inbox', messageId, body: 'hello' },
      }),
    })
    const controller = new AbortController()
    return {
      answer: fetch(url, { ...init, signal: controller.signal } as RequestInit).then(
        ({ status }) => status,
        () => 'left',
      ),
      leave: () => {
        controller.abort()
      },
    }
  }
  for (let i = 0; i < 2; i++) {
    const { answer, leave } = await ask(`id ${i}`)
    await until(() => held() === i + 1)
    leave()
    expect(await answer).toBe('left')
  }
  for (let i = 2; i < 10; i++) expect(await (await ask(`id ${i}`)).answer).toBe(503)

  expect(held()).toBe(2)
  expect(server.context.limits.gate.working).toBe(2)
  expect((await send(alice, 'another')).status).toBe(503)
  open()
  await until(() => server.context.limits.gate.working === 0)
  expect((await send(alice, 'later')).status).toBe(200)
})

test('a slow request does not count until it has arrived', async () => {
  const { origin, server } = await startServer({ env: { MAX_CONCURRENT_REQUESTS: '1' } })
  const alice = await handshake(origin)
  const { init } = await sign(alice, {
    target: '/sendMessage',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  })
  const headers = Object.entries({
    ...init.headers,
    host: 'localhost',
    expect: '100-continue',
    'content-length': '1000',
  })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
  const slow = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const socket = connect(Number(new URL(origin).port), '127.0.0.1')
      socket.write(`POST /sendMessage HTTP/1.1\r\n${headers}\r\n{"message":`)
      // Now the server waits for the rest of the request.
      expect(String(await new Promise((resolve) => socket.once('data', resolve)))).toContain(
        '100 Continue',
      )
      return socket
    }),
  )

  expect((await send(alice, 'first')).status).toBe(200)
  slow.forEach((socket) => socket.destroy())
  expect((await send(alice, 'second')).status).toBe(200)
  expect(server.context.limits.gate.working).toBe(0)
})
