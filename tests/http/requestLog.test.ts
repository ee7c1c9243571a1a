import { expect, test } from '@jest/globals'
import pino from 'pino'
import { handshake, post } from '../helpers/signedRequests'
import { startServer } from '../helpers/server'
import { eventually } from '../helpers/processes'

async function logOfASend (level: string): Promise<string[]> {
  const lines: string[] = []
  const logger = pino({ level }, { write: line => { lines.push(line) } })
  const { origin } = await startServer({ overrides: { logger } })
  const session = await handshake(origin)
  const { status } = await post(session, '/sendMessage?search=hidden', { message: { recipient: session.identityKey, messageBox: 'inbox', messageId: 'id', body: 'hidden' } })
  expect(status).toBe(200)
  return lines
}

test('the debug log has a line for each request, without its body, key or search', async () => {
  const lines = await logOfASend('debug')

  const line = await eventually(() => lines.find(text => text.includes('/sendMessage')), () => 'the request was not logged', 5000)
  expect(JSON.parse(line)).toEqual({
    level: 20, time: expect.any(Number), pid: expect.any(Number), hostname: expect.any(String),
    method: 'POST', path: '/sendMessage', status: 200, milliseconds: expect.any(Number), msg: 'request'
  })
  expect(lines.join('')).not.toContain('hidden')
})

test('without debug logs a request leaves no line', async () => {
  expect((await logOfASend('info')).filter(text => text.includes('sendMessage'))).toEqual([])
})
