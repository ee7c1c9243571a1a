import { expect, test } from '@jest/globals'
import Ajv from 'ajv/dist/2020'
import { ackEvent, AUTH_MESSAGE, messageEvent } from '../../src/contract/protocol'
import { CLIENT_EVENTS } from '../../src/ws/events'
import { createEventsDocument } from '../../src/ws/events/asyncapi'

const document = createEventsDocument()

test('the document names every event on the wire', () => {
  const names = Object.values(document.components.messages).map(({ name }) => name)

  expect(names.sort()).toEqual(
    [
      'authenticated',
      'authenticationSuccess',
      'authenticationFailed',
      'joinRoom',
      'joinedRoom',
      'joinFailed',
      'leaveRoom',
      'leftRoom',
      'leaveFailed',
      'sendMessage',
      'messageFailed',
      ackEvent('{roomId}'),
      messageEvent('{roomId}'),
    ].sort(),
  )
  expect(document.channels.socket.address).toBe(AUTH_MESSAGE)
})

test('every message is on the channel and in an operation, and references resolve', () => {
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

test.each(CLIENT_EVENTS.map(({ message }) => message))(
  'the example of $name is valid',
  ({ name, example }) => {
    const ajv = new Ajv({ strict: false }).addSchema(document, 'asyncapi')
    const path = `asyncapi#/components/messages/${name}/payload`

    expect([ajv.validate({ $ref: path }, example), ajv.errors]).toEqual([true, null])
  },
)
