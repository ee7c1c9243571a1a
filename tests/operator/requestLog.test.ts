import { expect, test } from '@jest/globals'
import pino from 'pino'
import { handshake, post } from '../../tools/clients/signedRequests'
import { startServer } from '../../tools/servers/server'
import { eventually } from '../../tools/programs/processes'

async function logOfASend(level: string): Promise<{ lines: string[]; headers: Headers }> {
  const lines: string[] = []
  const logger = pino(
    { level },
    {
      write: (line) => {
        lines.push(line)
      },
    },
  )
  const { origin } = await startServer({ overrides: { logger } })
  const session = await handshake(origin)
  const { status, headers } = await post(session, '/sendMessage?search=hidden', {
    message: {
      recipient: session.identityKey,
      messageBox: 'inbox',
      messageId: 'id',
      body: 'hidden',
    },
  })
  expect(status).toBe(200)
  return { lines, headers }
}

test('the log has a line for each request with its id, without body, key or query', async () => {
  const { lines, headers } = await logOfASend('info')

  const line = await eventually(
    () => lines.find((text) => text.includes('/sendMessage')),
    () => 'the request was not logged',
    5000,
  )
  expect(JSON.parse(line)).toEqual({
    level: 30,
    time: expect.any(Number),
    pid: expect.any(Number),
    hostname: expect.any(String),
    requestId: headers.get('x-request-id'),
    method: 'POST',
    path: '/sendMessage',
    status: 200,
    milliseconds: expect.any(Number),
    msg: 'request',
  })
  expect(lines.join('')).not.toContain('hidden')
})

test('above log level info, requests are not logged', async () => {
  expect((await logOfASend('warn')).lines.filter((text) => text.includes('sendMessage'))).toEqual(
    [],
  )
})
