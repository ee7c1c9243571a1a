import { afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { ENGINES } from '../../tools/databases/databases'
import { expectError, expectRefusal } from '../../tools/contract/refusals'
import { startServer, type TestServer } from '../../tools/servers/server'
import {
  handshake,
  post,
  sign,
  submit,
  type Answer,
  type HandSession,
} from '../../tools/clients/signedRequests'

const PATHS = ['/sendMessage', '/listMessages', '/acknowledgeMessage']
const DEPTH = 100_000
const deepArray = '['.repeat(DEPTH) + ']'.repeat(DEPTH)
const deepObject = '{"a":'.repeat(DEPTH) + '1' + '}'.repeat(DEPTH)

const SQL = [
  "' or '1'='1",
  "'; drop table messages; -- ",
  '"; delete from messages where "1"="1',
  "\\'; drop table messages; #",
  '%',
  '_',
  '`messages`',
  '?',
  '??',
  ':recipient',
  '$1',
  '0x27',
  '\u02bc or 1=1',
  '/*',
  '*/;select sleep(9)',
  '\\',
  '\b\u001a\r',
]
const JSON_TYPE = { 'content-type': 'application/json' }

/** Sends a valid message to the sender itself, with the given fields changed. */
const send = async (alice: HandSession, message: object): Promise<Answer> => {
  return await post(alice, '/sendMessage', {
    message: {
      recipient: alice.identityKey,
      messageBox: 'inbox',
      messageId: 'id',
      body: 'hello',
      ...message,
    },
  })
}
const list = async (alice: HandSession, messageBox: string): Promise<object[]> => {
  return (await post(alice, '/listMessages', { messageBox })).body.messages as object[]
}

/** The server and its database still work, and Object.prototype is unchanged. */
async function expectAlive({ origin }: HandSession): Promise<void> {
  expect((await fetch(`${origin}/ready`)).status).toBe(200)
  expect(Object.keys(Object.prototype)).toEqual([])
}

describe('bad input', () => {
  let alice: HandSession

  beforeAll(async () => {
    alice = await handshake((await startServer()).origin)
  })

  afterEach(async () => {
    await expectAlive(alice)
  })

  test.each(
    (
      [
        ['a word', 'hello'],
        ['half an object', '{"message":{"messageBox":"inbox"'],
        ['a trailing comma', '{"messageBox":"inbox",}'],
        ['single quotes', "{'messageBox':'inbox'}"],
        ['two values', '{}{}'],
        ['NaN', '{"limit":NaN}'],
        ['a form', 'messageBox=inbox'],
        ['XML', '<message/>'],
        ['two byte order marks', '\ufeff\ufeff{}'],
        ['a byte order mark behind the text', '{}\ufeff'],
        ['NUL', '\u0000'],
        ['a raw newline in a text', '{"messageBox":"a\nb"}'],
        ['100,000 open arrays', '['.repeat(DEPTH)],
        ['100,000 open objects', '{"a":'.repeat(DEPTH)],
        ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22])],
        ['Latin-1', Buffer.from('{"messageBox":"bör"}', 'latin1')],
        ['UTF-16', Buffer.from('{"messageBox":"box"}', 'utf16le')],
        ['a surrogate in UTF-8', Buffer.from('22eda08022', 'hex')],
      ] as Array<[string, string | Buffer]>
    ).map(([name, body], i) => [name, PATHS[i % PATHS.length]!, body] as const),
  )('rejects invalid JSON: %s at %s', async (_name, target, body) => {
    expectRefusal(
      await submit(alice, await sign(alice, { target, headers: JSON_TYPE, body })),
      400,
      'ERR_INVALID_JSON',
    )
  })

  describe.each(PATHS)('%s', (path) => {
    const code = {
      '/sendMessage': 'ERR_MESSAGE_REQUIRED',
      '/listMessages': 'ERR_MESSAGEBOX_REQUIRED',
      '/acknowledgeMessage': 'ERR_MESSAGE_ID_REQUIRED',
    }[path]!

    test.each([
      ['null', 'null'],
      ['a number', '5'],
      ['a text', '"hello"'],
      ['true', 'true'],
      ['an empty array', '[]'],
      ['an empty object', '{}'],
      ['100,000 nested arrays', deepArray],
      ['100,000 nested objects', deepObject],
      [
        'fields of the prototype',
        '{"__proto__":{"message":{},"messageBox":"inbox","messageIds":["id"]}}',
      ],
      [
        'fields of the constructor',
        '{"constructor":{"prototype":{"message":{},"messageBox":"inbox","messageIds":["id"]}}}',
      ],
    ])('rejects JSON without the required field: %s', async (_name, text) => {
      expectRefusal(await post(alice, path, text), 400, code)
    })

    test.each([
      ['without a body', {}],
      ['with an empty body', { body: '' }],
      [
        'with a body of another type',
        { body: '{"message":{}}', headers: { 'content-type': 'text/plain' } },
      ],
    ])('rejects a request %s', async (_name, bent) => {
      expectRefusal(
        await submit(alice, await sign(alice, { target: path, headers: JSON_TYPE, ...bent })),
        400,
        code,
      )
    })

    test.each(['GET', 'PUT', 'PATCH', 'DELETE'])('rejects the method %s', async (method) => {
      expectRefusal(
        await submit(alice, await sign(alice, { method, target: path })),
        405,
        'ERR_METHOD_NOT_ALLOWED',
      )
    })
  })

  const VALUES = [
    'null',
    'true',
    'false',
    '0',
    '-1',
    '1e400',
    '""',
    '" "',
    '"text"',
    '[]',
    '{}',
    '[[]]',
    '[null]',
    '[{}]',
    '{"length":1}',
    '{"toString":null}',
    '{"toJSON":1}',
    deepArray,
  ]
  const FIELDS: Array<[path: string, field: string]> = [
    ...['messageBox', 'body', 'recipient', 'recipients', 'messageId'].map(
      (field) => ['/sendMessage', field] as [string, string],
    ),
    ...['messageBox', 'limit', 'offset', 'skip'].map(
      (field) => ['/listMessages', field] as [string, string],
    ),
    ['/acknowledgeMessage', 'messageIds'],
  ]

  test.each(FIELDS)('handles every kind of value at %s in "%s"', async (path, field) => {
    const { identityKey: recipient } = alice
    const others = {
      messageBox: `wrong ${field}`,
      ...(path === '/sendMessage' && { recipient, messageId: 'id', body: 'hello' }),
      [field]: undefined,
    }
    for (const value of VALUES) {
      const text = JSON.stringify({ ...others, '#': 0 }).replace('"#":0', `"${field}":${value}`)

      const answer = await post(alice, path, path === '/sendMessage' ? `{"message":${text}}` : text)

      if (answer.status === 200)
        expect(answer).toMatchObject({ verified: true, body: { status: 'success' } })
      else expectRefusal(answer, 400, answer.body.code as string)
    }
  })

  test('rejects a body whose objects are nested too deep to serialize', async () => {
    const text = `{"message":{"recipient":"${alice.identityKey}","messageBox":"deep","messageId":"id","body":${deepObject}}}`
    expectRefusal(await post(alice, '/sendMessage', text), 400, 'ERR_INVALID_MESSAGE_BODY')
  })

  test('ignores message fields that come from its prototype', async () => {
    const message = `{"__proto__":{"messageBox":"inbox","recipient":"${alice.identityKey}","messageId":"id","body":"x"}}`
    expectRefusal(
      await post(alice, '/sendMessage', `{"message":${message}}`),
      400,
      'ERR_INVALID_MESSAGEBOX',
    )
  })

  test('rejects an object as an id, so that it cannot become a query condition', async () => {
    for (const id of [{ '!=': '' }, { message_id: 1 }, { toSQL: 'x' }, [1, 2]]) {
      expectRefusal(
        await post(alice, '/acknowledgeMessage', { messageIds: [id] }),
        400,
        'ERR_INVALID_MESSAGE_ID',
      )
    }
  })

  test.each([
    '/unknown',
    '/sendMessage/more',
    '/sendMessages',
    '//sendMessages',
    '/%',
    '/%ff',
    '/__proto__',
    '/constructor',
    '/.well-known',
    '/sendMessage%00',
  ])('rejects the unknown path %s', async (target) => {
    for (const method of ['GET', 'POST']) {
      expectRefusal(
        await submit(
          alice,
          await sign(alice, {
            method,
            target,
            headers: JSON_TYPE,
            ...(method === 'POST' && { body: '{}' }),
          }),
        ),
        404,
        'ERR_NOT_FOUND',
      )
    }
  })

  test.each(['\ud800', 'a\udc00b', '\udc00\ud800', '📦\ud83d', '\u0000'])(
    'rejects %j as a recipient, a limit or a message id',
    async (text) => {
      expectRefusal(await send(alice, { recipient: text }), 400, 'ERR_INVALID_RECIPIENT_KEY')
      expectRefusal(
        await send(alice, { recipient: `${alice.identityKey}${text}` }),
        400,
        'ERR_INVALID_RECIPIENT_KEY',
      )
      expectRefusal(
        await post(alice, '/listMessages', { messageBox: 'inbox', limit: text }),
        400,
        'ERR_INVALID_LIMIT',
      )
      expectRefusal(
        await post(alice, '/acknowledgeMessage', { messageIds: [text] }),
        400,
        'ERR_INVALID_ACKNOWLEDGMENT',
      )
    },
  )

  test.each(['\ud800', 'a\udc00b', '\udc00\ud800', '📦\ud83d'])(
    'rejects a lone surrogate in a name or a text: %j',
    async (text) => {
      expectRefusal(await send(alice, { messageBox: text }), 400, 'ERR_INVALID_MESSAGEBOX')
      expectRefusal(await send(alice, { messageId: text }), 400, 'ERR_INVALID_MESSAGEID')
      expectRefusal(await send(alice, { body: text }), 400, 'ERR_INVALID_MESSAGE_BODY')
      expectRefusal(
        await post(alice, '/listMessages', { messageBox: text }),
        400,
        'ERR_INVALID_MESSAGEBOX',
      )
    },
  )

  test.each(SQL.slice(0, 4))(
    'rejects SQL in place of a key, a number or an object: %j',
    async (text) => {
      expectRefusal(await send(alice, { recipient: text }), 400, 'ERR_INVALID_RECIPIENT_KEY')
      expectRefusal(
        await send(alice, { recipients: [`${alice.identityKey}${text}`] }),
        400,
        'ERR_INVALID_RECIPIENT_KEY',
      )
      expectRefusal(
        await post(alice, '/sendMessage', { message: text }),
        400,
        'ERR_MESSAGE_REQUIRED',
      )
      expectRefusal(
        await post(alice, '/listMessages', { messageBox: 'inbox', limit: text }),
        400,
        'ERR_INVALID_LIMIT',
      )
      expectRefusal(
        await post(alice, '/listMessages', { messageBox: 'inbox', offset: `0 ${text}` }),
        400,
        'ERR_INVALID_OFFSET',
      )
      expectRefusal(
        await post(alice, '/acknowledgeMessage', { messageIds: text }),
        400,
        'ERR_INVALID_MESSAGE_ID',
      )
    },
  )
})

describe.each(ENGINES)('odd input on %s', (engine) => {
  let alice: HandSession

  beforeAll(async () => {
    alice = await handshake((await startServer({ engine })).origin)
  })

  afterEach(async () => {
    await expectAlive(alice)
  })

  test('stores a text that contains deeply nested JSON as a text', async () => {
    const texts = [deepObject, '{"message":'.repeat(DEPTH), `{"message":${deepArray}}`]
    for (const [index, body] of texts.entries()) {
      expect(
        await send(alice, { messageBox: 'deep', messageId: `deep ${index}`, body }),
      ).toMatchObject({ status: 200 })
    }
    // The last text looks like a payment wrapper, so the server wraps it again.
    expect(await list(alice, 'deep')).toMatchObject([
      { body: texts[0] },
      { body: texts[1] },
      { body: JSON.stringify({ message: texts[2] }) },
    ])
  })

  test.each([
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'hasOwnProperty',
    'undefined',
    'null',
    '0',
  ])('accepts %s as a name', async (name) => {
    const body = JSON.parse(`{"${name}":{"${name}":1}}`) as object
    expect(await send(alice, { messageBox: name, messageId: name, body })).toMatchObject({
      status: 200,
      body: { messageId: name },
    })
    expect(await list(alice, name)).toMatchObject([{ messageId: name, body: JSON.stringify(body) }])
    expect(await post(alice, '/acknowledgeMessage', { messageIds: [name] })).toMatchObject({
      status: 200,
    })
  })

  test('accepts NUL in names and texts', async () => {
    for (const name of ['nul', 'nul\u0000', '\u0000nul', 'nul\u0000\u0000']) {
      expect(
        await send(alice, { messageBox: name, messageId: name, body: `${name}\u0000behind` }),
      ).toMatchObject({ status: 200 })
    }
    for (const name of ['nul', 'nul\u0000', '\u0000nul', 'nul\u0000\u0000']) {
      expect(await list(alice, name)).toMatchObject([
        { messageId: name, body: `${name}\u0000behind` },
      ])
    }
    expect(await post(alice, '/acknowledgeMessage', { messageIds: ['nul\u0000'] })).toMatchObject({
      status: 200,
    })
    expect([await list(alice, 'nul'), await list(alice, 'nul\u0000')]).toMatchObject([[{}], []])
  })

  test('keeps a lone surrogate within an object: JSON escapes it', async () => {
    const body = { 'a\ud800': ['\udc00\ud800', '📦\ud83d'] }
    expect(
      await send(alice, { messageBox: 'surrogates', messageId: 'halves', body }),
    ).toMatchObject({ status: 200 })
    expect(await list(alice, 'surrogates')).toMatchObject([{ body: JSON.stringify(body) }])
  })

  test.each(SQL)('stores SQL in names and texts unchanged: %j', async (text) => {
    const box = `box ${text}.`
    expect(
      await send(alice, { messageBox: box, messageId: `id ${text}`, body: `${text}.` }),
    ).toMatchObject({ status: 200, body: { messageId: `id ${text}` } })
    expect(await list(alice, box.slice(0, -1))).toEqual([])
    expectRefusal(
      await post(alice, '/acknowledgeMessage', { messageIds: [text, `id ${text}.`] }),
      400,
      'ERR_INVALID_ACKNOWLEDGMENT',
    )
    expect(await list(alice, box)).toMatchObject([{ messageId: `id ${text}`, body: `${text}.` }])
  })
})

describe('a body over MAX_BODY_SIZE', () => {
  const LIMIT = 64 * 1024
  let server: TestServer
  let alice: HandSession

  beforeAll(async () => {
    server = await startServer({ env: { MAX_BODY_SIZE: '64kb' } })
    alice = await handshake(server.origin)
  })

  const listRequest = (size: number): string => '{"messageBox":"inbox"}'.padEnd(size)

  test('a body of exactly MAX_BODY_SIZE is accepted', async () => {
    expect(await post(alice, '/listMessages', listRequest(LIMIT))).toMatchObject({
      status: 200,
      verified: true,
    })
  })

  test.each([
    ['one byte over the limit', LIMIT + 1],
    ['twice the limit', LIMIT * 2],
    ['20 MB', 20_000_000],
  ])('is rejected: %s', async (_name, size) => {
    // The server does not read the body, so the signature does not matter.
    const prepared = await sign(
      alice,
      { target: '/listMessages', headers: JSON_TYPE, body: listRequest(size) },
      { body: 'x' },
    )

    const answer = await submit(alice, prepared)
    expectError(answer, [413, 'ERR_BODY_TOO_LARGE'], { limit: LIMIT })
    // The answer is not signed: otherwise an attacker on the path could forge it for any request.
    expect(answer.headers.get('x-bsv-auth-signature')).toBeNull()
    expect(await post(alice, '/listMessages', { messageBox: 'inbox' })).toMatchObject({
      status: 200,
    })
  })

  test('is rejected if its length was not declared', async () => {
    const { url, init } = await sign(alice, {
      target: '/listMessages',
      headers: JSON_TYPE,
      body: '{}',
    })
    const answer = await new Promise<{ status: number; headers: Headers; body: unknown }>(
      (resolve, reject) => {
        const sending = httpRequest(
          url,
          { method: 'POST', headers: { ...init.headers, 'transfer-encoding': 'chunked' } },
          (response) => {
            let text = ''
            response
              .setEncoding('utf8')
              .on('data', (part: string) => {
                text += part
              })
              .on('end', () => {
                resolve({
                  status: response.statusCode!,
                  headers: new Headers(response.headers as Record<string, string>),
                  body: JSON.parse(text),
                })
              })
          },
        )
        sending.on('error', reject)
        // The body never ends: the answer must come before its end.
        for (let written = 0; written <= LIMIT; written += 1024) sending.write(' '.repeat(1024))
      },
    )

    expectError(answer, [413, 'ERR_BODY_TOO_LARGE'], { limit: LIMIT })
    expect(answer.headers.get('x-bsv-auth-signature')).toBeNull()
  })

  test('is not read if the client is not authenticated', async () => {
    const response = await fetch(`${server.origin}/listMessages`, {
      method: 'POST',
      body: listRequest(LIMIT * 2),
    })
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
      401,
      'UNAUTHORIZED',
    ])
  })
})

describe('malformed HTTP', () => {
  test.each([
    ['a target that is not a URL', 'GET http:// HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'],
    [
      'a target with a broken host',
      'POST http://[::1/sendMessage HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    ],
    ['text that is not HTTP', 'rubbish\r\n\r\n'],
    ['a method in lower case', 'get /health HTTP/1.1\r\nhost: x\r\n\r\n'],
    ['a header with a space in its name', `GET /health HTTP/1.1\r\nhost: x\r\nx long: x\r\n\r\n`],
  ])('%s is answered with the error body', async (_name, text) => {
    const { server } = await startServer()
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(server.port, '127.0.0.1', () => {
        socket.write(text)
      })
      let received = ''
      socket.on('data', (data) => {
        received += String(data)
      })
      socket.on('error', (error) => {
        if (received === '') reject(error)
      })
      socket.on('close', () => {
        resolve(received)
      })
    })

    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toMatch(/access-control-allow-origin: \*/i)
    expect(JSON.parse(answer.split('\r\n\r\n')[1]!)).toEqual({
      status: 'error',
      code: 'ERR_BAD_REQUEST',
      description: expect.any(String),
    })
  })
})
