import { expect, test } from '@jest/globals'
import { messagesIn } from '../../tools/clients/caller'
import type { LightSocket } from '../../tools/clients/lightSocket'
import { lightSocket, startLive } from '../../tools/clients/live'

async function join(socket: LightSocket, box: string): Promise<string> {
  const roomId = `${socket.identityKey}-${box}`
  socket.emit('joinRoom', roomId)
  await socket.next('joinedRoom')
  return roomId
}

test('no other client receives any frame of a message', async () => {
  const { origin } = await startLive()
  const others = await Promise.all(
    Array.from({ length: 200 }, async () => await lightSocket(origin).authenticate()),
  )
  await Promise.all(others.map(async (socket) => await join(socket, 'inbox')))
  const [victim, sender] = await Promise.all([
    lightSocket(origin).authenticate(),
    lightSocket(origin).authenticate(),
  ])
  const roomId = await join(victim, 'inbox')
  // Some of them try to join the victim's room.
  for (const socket of others.slice(0, 20)) {
    socket.emit('joinRoom', roomId)
    expect(await socket.next('joinFailed')).toEqual({ reason: expect.any(String) })
  }
  const frames = others.map((socket) => socket.frames)

  for (let i = 0; i < 20; i++) {
    sender.emit('sendMessage', {
      roomId,
      message: { messageId: String(i), recipient: victim.identityKey, body: 'secret' },
    })
    await sender.next(`sendMessageAck-${roomId}`)
    await victim.next(`sendMessage-${roomId}`)
  }

  // Each sends one more event. Anything sent to it before would arrive before the answer.
  for (const socket of others) socket.emit('leaveRoom', `${socket.identityKey}-inbox`)
  await Promise.all(others.map(async (socket) => await socket.next('leftRoom')))
  expect(others.map((socket) => socket.frames)).toEqual(frames.map((count) => count + 1))
  expect(others.flatMap((socket) => socket.heard)).toEqual([])
})

test('the server ignores the identity that a frame names', async () => {
  const { origin, server } = await startLive()
  const [mallory, victim] = await Promise.all([
    lightSocket(origin).authenticate(),
    lightSocket(origin).authenticate(),
  ])
  const roomId = `${victim.identityKey}-inbox`
  mallory.emit('joinRoom', roomId, { identityKey: victim.identityKey })
  mallory.emit(
    'sendMessage',
    { roomId, message: { messageId: 'forged', recipient: victim.identityKey, body: 'x' } },
    { identityKey: victim.identityKey },
  )

  mallory.emit('joinRoom', `${mallory.identityKey}-own`)
  await mallory.next('joinedRoom')

  expect(mallory.heard).toEqual([])
  expect(await messagesIn(server.context.mailbox, victim.identityKey)).toEqual([])
})

test('one socket cannot change its identity', async () => {
  const { origin } = await startLive()
  const first = await lightSocket(origin).authenticate()
  const second = await lightSocket(origin).authenticate()
  // A valid event of the second identity, signed in its own session, on the socket of the first.
  first.raw.emit(
    'authMessage',
    second.sign({ eventName: 'joinRoom', data: `${second.identityKey}-inbox` }),
  )
  first.emit('joinRoom', `${first.identityKey}-inbox`)

  expect(await first.next('joinedRoom')).toEqual({ roomId: `${first.identityKey}-inbox` })
  expect(first.heard).toEqual([])
})

test('a frame replayed on another socket is not accepted', async () => {
  const { origin } = await startLive()
  const first = await lightSocket(origin).authenticate()
  const frame = first.sign({ eventName: 'joinRoom', data: `${first.identityKey}-inbox` })
  const second = lightSocket(origin)
  second.raw.emit('authMessage', frame)
  await new Promise<void>((resolve) =>
    second.raw.once('authMessage', () => {
      resolve()
    }),
  )
  first.raw.emit('authMessage', frame)
  first.emit('joinRoom', `${first.identityKey}-other`)

  expect(await first.next('joinedRoom')).toEqual({ roomId: `${first.identityKey}-other` })
})
