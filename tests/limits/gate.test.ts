import { expect, test } from '@jest/globals'
import { connect } from 'node:net'
import { allowAll } from '../../src/mailbox'
import { expectRefusal } from '../helpers/refusals'
import { startServer } from '../helpers/server'
import { handshake, post, sign, type Answer, type HandSession } from '../helpers/signedRequests'

const send = async (session: HandSession, messageId: string): Promise<Answer> => {
  return await post(session, '/sendMessage', { message: { recipient: session.identityKey, messageBox: 'inbox', messageId, body: 'hello' } })
}

test('so many requests at once are worked on, the others refused while those are; then all is as before', async () => {
  let open: () => void = () => {}
  let waiting = 0
  let allIn: () => void = () => {}
  const gate = new Promise<void>(resolve => { open = resolve })
  const full = new Promise<void>(resolve => { allIn = resolve })
  const policy = async (...parameters: Parameters<typeof allowAll>): Promise<void> => {
    if (++waiting === 5) allIn()
    await gate
    await allowAll(...parameters)
  }
  const { origin, server } = await startServer({ env: { MAX_CONCURRENT_REQUESTS: '5' }, overrides: { policy } })
  const alice = await handshake(origin)
  const working = Array.from({ length: 5 }, async (_value, index) => await send(alice, `id ${index}`))
  await full

  const refused = await Promise.all(Array.from({ length: 20 }, async (_value, index) => await send(alice, `other ${index}`)))
  for (const answer of refused) {
    expectRefusal(answer, 503, 'ERR_SERVER_BUSY')
    expect(answer.headers.get('retry-after')).toBe('1')
  }
  expect((await fetch(`${origin}/.well-known/auth`, { method: 'POST', body: '{}' })).status).toBe(503)
  for (const path of ['/health', '/ready', '/info']) expect((await fetch(`${origin}${path}`)).status).toBe(200)

  open()
  expect((await Promise.all(working)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
  expect((await send(alice, 'later')).status).toBe(200)
  expect(server.context.limits.gate.working).toBe(0)
})

test('whoever sends slowly, or leaves in the middle, takes nobody\'s place', async () => {
  const { origin, server } = await startServer({ env: { MAX_CONCURRENT_REQUESTS: '1' } })
  const alice = await handshake(origin)
  const { init } = await sign(alice, { target: '/sendMessage', headers: { 'content-type': 'application/json' }, body: '{}' })
  const slow = Array.from({ length: 3 }, () => {
    const socket = connect(Number(new URL(origin).port), '127.0.0.1')
    const headers = Object.entries({ ...init.headers, host: 'localhost', 'content-length': '1000' }).map(([name, value]) => `${name}: ${value}\r\n`).join('')
    socket.write(`POST /sendMessage HTTP/1.1\r\n${headers}\r\n{"message":`)
    return socket
  })

  expect((await send(alice, 'first')).status).toBe(200)
  slow.forEach(socket => socket.destroy())
  expect((await send(alice, 'second')).status).toBe(200)
  expect(server.context.limits.gate.working).toBe(0)
})
