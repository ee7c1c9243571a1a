/** The pages about the API show the whole documents, and all their links work. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import asyncapi from '../../docs/asyncapi.json'
import { ERRORS } from '../../src/contract/errors'
import { OPERATIONS } from '../../src/openapi/document'
import { codesOf, NO_OPERATION } from '../../src/openapi/errors'
import { startServer, type TestServer } from '../../tools/servers/server'

const captures = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map((match) => match[1]!)

describe.each(['', '/api'])('with the prefix %j', (prefix) => {
  let running: TestServer
  let docs: string
  let events: string

  beforeAll(async () => {
    running = await startServer({ env: { ROUTING_PREFIX: prefix, MAX_BODY_SIZE: '12345b' } })
    const page = async (path: string): Promise<string> => {
      const answer = await fetch(`${running.host}${path}`)
      expect([answer.status, answer.headers.get('content-type')]).toEqual([
        200,
        'text/html; charset=utf-8',
      ])
      expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
      return await answer.text()
    }
    docs = await page('/docs')
    events = await page('/docs/events')
  })

  test('the page shows every operation, error code, field and limit', () => {
    const ids = captures(docs, / id="([^"]+)"/g)
    expect(ids).toEqual(expect.arrayContaining(OPERATIONS.map(({ id }) => id)))
    expect(ids).toEqual(expect.arrayContaining([...OPERATIONS.flatMap(codesOf), ...NO_OPERATION]))
    const shown = captures(docs, /<code[^>]*>([^<]*)<\/code>/g)
    expect(shown).toEqual(
      expect.arrayContaining([
        'message.recipient',
        'message.recipients',
        'message.messageBox',
        'outputs[].paymentRemittance.derivationPrefix',
        'messages[].body',
        'limits.page.bytes',
        'retryAfterMs',
      ]),
    )
    expect(shown).toEqual(
      expect.arrayContaining(
        OPERATIONS.flatMap(({ path, body, query }) => [
          path,
          ...Object.keys((body ?? query)?.schema.properties ?? {}),
        ]),
      ),
    )
    expect(docs.includes('12,345 bytes')).toBe(true)
    expect(
      OPERATIONS.filter(
        ({ sample }) => !docs.includes(sample.split('\n').at(-1)!.replaceAll("'", '&#39;')),
      ),
    ).toEqual([])
  })

  test('the page of events shows every event', () => {
    expect(captures(events, /<code>([^<]*)<\/code>/g)).toEqual(
      expect.arrayContaining(Object.values(asyncapi.components.messages).map(({ name }) => name)),
    )
    expect(captures(events, / id="([^"]+)"/g)).toEqual(
      expect.arrayContaining(Object.keys(asyncapi.operations)),
    )
    expect(events.includes('Live messages are off')).toBe(true)
  })

  test('ids are unique, links resolve, and paths begin with the prefix', async () => {
    for (const page of [docs, events]) {
      const ids = captures(page, / id="([^"]+)"/g)
      expect(new Set(ids).size).toBe(ids.length)
      expect(captures(page, / href="#([^"]+)"/g).filter((anchor) => !ids.includes(anchor))).toEqual(
        [],
      )
      for (const href of new Set(captures(page, / (?:href|src)="(\/[^"]*)"/g))) {
        expect(href.startsWith(`${prefix}/`)).toBe(true)
        expect([href, (await fetch(`${running.origin}${href}`)).status]).toEqual([href, 200])
      }
    }
  })
})

test('error codes are not listed among the types', async () => {
  const { host } = await startServer()
  const types = captures(await (await fetch(`${host}/docs`)).text(), /<h3 id="([^"]+)"/g)
  expect(types.filter((name) => name in ERRORS)).toEqual([])
  expect(types).toContain('Payment')
})
