import { expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { ackEvent, AUTH_MESSAGE, EVENTS, messageEvent } from '../../src/contract/protocol'

interface Document {
  channels: { socket: { address: string; messages: Record<string, { $ref: string }> } }
  operations: Record<
    string,
    { messages: Array<{ $ref: string }>; reply?: { messages: Array<{ $ref: string }> } }
  >
  components: { messages: Record<string, { name: string }> }
}

const document = parse(
  readFileSync(join(__dirname, '../../docs/asyncapi.yaml'), 'utf8'),
) as Document

test('the description of the events has the names that the code has', () => {
  const names = Object.values(document.components.messages).map(({ name }) => name)

  expect(names.sort()).toEqual(
    [...Object.values(EVENTS), ackEvent('{roomId}'), messageEvent('{roomId}')].sort(),
  )
  expect(document.channels.socket.address).toBe(AUTH_MESSAGE)
})

test('every message is on the channel and in an operation, and every reference leads somewhere', () => {
  const {
    channels: { socket },
    operations,
    components,
  } = document
  expect(Object.keys(socket.messages).sort()).toEqual(Object.keys(components.messages).sort())
  const used = Object.values(operations)
    .flatMap(({ messages, reply }) => [...messages, ...(reply?.messages ?? [])])
    .map(({ $ref }) => $ref.split('/').at(-1))
  expect([...new Set(used)].sort()).toEqual(Object.keys(components.messages).sort())
  for (const [, path] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    expect(
      path!
        .split('/')
        .reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], document),
    ).toBeDefined()
  }
})
