import { beforeAll, describe, expect, test } from '@jest/globals'
import { connect } from 'node:net'
import { CORS, expectCors, expectError, expectRefusal } from '../../tools/contract/refusals'
import { startServer, type TestServer } from '../../tools/servers/server'
import { handshake, post, sign, submit, type HandSession } from '../../tools/clients/signedRequests'

const ROUTES = ['/sendMessage', '/listMessages', '/acknowledgeMessage']
const HEALTH = ['/health', '/ready']

interface Seen {
  status: number
  headers: Headers
  body: unknown
}

/** Sends a request without authentication. */
async function ask(url: string, method = 'GET', init: RequestInit = {}): Promise<Seen> {
  const response = await fetch(url, { method, ...init })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? '' : JSON.parse(text),
  }
}

describe.each(['', '/api', '/a/b-c.d'])('with the prefix "%s"', (prefix) => {
  let server: TestServer
  let alice: HandSession

  beforeAll(async () => {
    server = await startServer({ env: prefix === '' ? {} : { ROUTING_PREFIX: `${prefix}/` } })
    alice = await handshake(server.origin)
  })

  test.each([...ROUTES, ...HEALTH, '/unknown', ''])(
    'a page of any origin may request %s',
    async (path) => {
      const { status, headers, body } = await ask(`${server.host}${path}`, 'OPTIONS', {
        headers: {
          origin: 'https://anywhere.example',
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'content-type, x-bsv-auth-nonce, authorization',
          'access-control-request-private-network': 'true',
        },
      })
      expect([status, body]).toEqual([200, ''])
      expect(Object.fromEntries(headers)).toMatchObject({
        ...CORS,
        'access-control-allow-headers': 'content-type, x-bsv-auth-nonce, authorization',
      })
    },
  )

  test('a page of any origin may make the handshake, at the root only', async () => {
    expect(await ask(`${server.origin}/.well-known/auth`, 'OPTIONS')).toMatchObject({ status: 200 })
    const answer = await ask(`${server.origin}/.well-known/auth`, 'POST', { body: '{}' })
    expectError(answer, [400, 'ERR_INVALID_AUTH_MESSAGE'])
    expectError(await ask(`${server.origin}/.well-known/auth`, 'GET'), [
      405,
      'ERR_METHOD_NOT_ALLOWED',
    ])
    if (prefix !== '')
      expectError(await ask(`${server.host}/.well-known/auth`, 'POST'), [404, 'ERR_NOT_FOUND'])
  })

  test.each(HEALTH)('%s answers without authentication, to GET and HEAD only', async (path) => {
    const answer = await ask(`${server.host}${path}`)

    expect([answer.status, answer.body]).toEqual([
      200,
      { status: path === '/health' ? 'ok' : 'ready' },
    ])
    expectCors(answer.headers)
    expect(await ask(`${server.host}${path}`, 'HEAD')).toMatchObject({ status: 200, body: '' })
    expectError(await ask(`${server.host}${path}`, 'POST', { body: '{}' }), [
      405,
      'ERR_METHOD_NOT_ALLOWED',
    ])
  })

  test.each(ROUTES)(
    'an unauthenticated client at %s gets 401, or 405 if the method is wrong',
    async (path) => {
      const details = { message: 'Mutual-authentication failed!' }
      expectError(await ask(`${server.host}${path}`, 'POST'), [401, 'UNAUTHORIZED'], details)
      expectError(
        await ask(`${server.host}${path}/`, 'POST', { body: '{"message":{}}' }),
        [401, 'UNAUTHORIZED'],
        details,
      )
      for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) {
        expectError(await ask(`${server.host}${path}?a=b`, method), [405, 'ERR_METHOD_NOT_ALLOWED'])
      }
    },
  )

  test.each([
    '/unknown',
    '/sendMessage/more',
    '/sendMessage%2f',
    '//sendMessages',
    '/health/more',
    '/%',
    '/%ff',
    '/__proto__',
    '/constructor',
    '/index.html',
    '/api/sendMessages',
  ])('an unauthenticated client at %s gets 404', async (path) => {
    for (const method of ['GET', 'POST'])
      expectError(await ask(`${server.host}${path}`, method), [404, 'ERR_NOT_FOUND'])
  })

  test('every answer to an authenticated client is signed, errors included', async () => {
    const listed = await post(alice, `${prefix}/listMessages`, { messageBox: 'inbox' })
    expect(listed).toMatchObject({ status: 200, verified: true })
    expectCors(listed.headers)
    expectRefusal(await post(alice, `${prefix}/listMessages`, {}), 400, 'ERR_MESSAGEBOX_REQUIRED')
    expectRefusal(
      await submit(alice, await sign(alice, { method: 'GET', target: `${prefix}/listMessages` })),
      405,
      'ERR_METHOD_NOT_ALLOWED',
    )
    expectRefusal(
      await submit(alice, await sign(alice, { method: 'GET', target: `${prefix}/unknown?a=b` })),
      404,
      'ERR_NOT_FOUND',
    )
  })

  test('paths outside the prefix get 404', async () => {
    for (const wrong of prefix === ''
      ? ['/api']
      : ['', `${prefix}x`, prefix.slice(0, -1), `/x${prefix}`]) {
      expectError(await ask(`${server.origin}${wrong}/health`), [404, 'ERR_NOT_FOUND'])
      expectError(await ask(`${server.origin}${wrong}/listMessages`, 'POST'), [
        404,
        'ERR_NOT_FOUND',
      ])
      expectRefusal(
        await post(alice, `${wrong}/listMessages`, { messageBox: 'inbox' }),
        404,
        'ERR_NOT_FOUND',
      )
    }
  })

  test('no header reveals the software of the server', async () => {
    const { headers } = await ask(`${server.host}/health`)
    expect([headers.get('x-powered-by'), headers.get('server'), headers.get('etag')]).toEqual([
      null,
      null,
      null,
    ])
  })

  test.each([
    'GET /x HTTP/1.0\r\n',
    'GET * HTTP/1.1\r\nhost: x\r\n',
    'GET //x HTTP/1.1\r\nhost: x\r\n',
    'GET /x? HTTP/1.1\r\nhost: x\r\n',
    'GET http://elsewhere/unknown HTTP/1.1\r\nhost: x\r\n',
    'GET /\\x HTTP/1.1\r\nhost: x\r\n',
    `GET /${'a'.repeat(12_000)} HTTP/1.1\r\nhost: x\r\n`,
    'PROPFIND /x HTTP/1.1\r\nhost: x\r\n',
    'TRACE /x HTTP/1.1\r\nhost: x\r\n',
  ])('an unusual request for an unknown path gets 404: %j', async (request) => {
    const answer = await raw(server.server.port, `${request}connection: close\r\n\r\n`)
    expect(answer).toMatch(
      /^HTTP\/1\.1 404 [^]*access-control-allow-origin: \*[^]*"code":"ERR_NOT_FOUND"/i,
    )
  })
})

/** Sends raw bytes; returns the server's answer once the connection is closed. */
async function raw(port: number, request: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    let answer = ''
    connect(port, '127.0.0.1')
      .on('error', reject)
      .on('data', (data) => {
        answer += String(data)
      })
      .on('close', () => {
        resolve(answer)
      })
      .end(request)
  })
}
