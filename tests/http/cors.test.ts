import { beforeAll, describe, expect, test } from '@jest/globals'
import { connect } from 'node:net'
import request from 'supertest'
import { CORS, expectCors, expectError, expectRefusal } from '../../tools/contract/refusals'
import { startServer, type TestServer } from '../../tools/servers/server'
import { handshake, post, sign, submit, type HandSession } from '../../tools/clients/signedRequests'

const ROUTES = ['/sendMessage', '/listMessages', '/acknowledgeMessage']
const HEALTH = ['/health', '/ready']

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
      const { status, headers, text } = await request(server.host).options(path).set({
        origin: 'https://anywhere.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type, x-bsv-auth-nonce, authorization',
        'access-control-request-private-network': 'true',
      })
      expect([status, text]).toEqual([200, ''])
      expect(headers).toMatchObject({
        ...CORS,
        'access-control-allow-headers': 'content-type, x-bsv-auth-nonce, authorization',
      })
    },
  )

  test('a page of any origin may make the handshake, at the root only', async () => {
    const path = '/.well-known/auth'
    await request(server.origin).options(path).expect(200)
    const answer = await request(server.origin).post(path).type('text').send('{}')
    expectError(answer, [400, 'ERR_INVALID_AUTH_MESSAGE'])
    expectError(await request(server.origin).get(path), [405, 'ERR_METHOD_NOT_ALLOWED'])
    if (prefix !== '') expectError(await request(server.host).post(path), [404, 'ERR_NOT_FOUND'])
  })

  test.each(HEALTH)('%s answers without authentication, to GET and HEAD only', async (path) => {
    const { headers } = await request(server.host)
      .get(path)
      .expect(200, { status: path === '/health' ? 'ok' : 'ready' })
    expectCors(headers)
    const head = await request(server.host).head(path).expect(200)
    expect(head.text ?? '').toBe('')
    expectError(await request(server.host).post(path).type('text').send('{}'), [
      405,
      'ERR_METHOD_NOT_ALLOWED',
    ])
  })

  test.each(ROUTES)(
    'an unauthenticated client at %s gets 401, or 405 if the method is wrong',
    async (path) => {
      const details = { message: 'Mutual-authentication failed!' }
      const client = request(server.host)
      expectError(await client.post(path), [401, 'UNAUTHORIZED'], details)
      expectError(
        await client.post(`${path}/`).type('text').send('{"message":{}}'),
        [401, 'UNAUTHORIZED'],
        details,
      )
      for (const method of ['get', 'put', 'patch', 'delete'] as const)
        expectError(await client[method](`${path}?a=b`), [405, 'ERR_METHOD_NOT_ALLOWED'])
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
    for (const method of ['get', 'post'] as const)
      expectError(await request(server.host)[method](path), [404, 'ERR_NOT_FOUND'])
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
      const client = request(server.origin)
      expectError(await client.get(`${wrong}/health`), [404, 'ERR_NOT_FOUND'])
      expectError(await client.post(`${wrong}/listMessages`), [404, 'ERR_NOT_FOUND'])
      expectRefusal(
        await post(alice, `${wrong}/listMessages`, { messageBox: 'inbox' }),
        404,
        'ERR_NOT_FOUND',
      )
    }
  })

  test('no header reveals the software of the server', async () => {
    const { headers } = await request(server.host).get('/health')
    for (const name of ['x-powered-by', 'server', 'etag']) expect(headers).not.toHaveProperty(name)
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
