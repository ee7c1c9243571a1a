/** `kill -9` under live load: every acknowledged message is stored once. */
import { PrivateKey } from '@bsv/sdk'
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { createDatabase, type Engine } from '../databases/databases'
import { LightSocket } from '../clients/lightSocket'
import { eventually, ServerProcess } from '../programs/processes'
import { handshake, post } from '../clients/signedRequests'

export interface LiveCounts {
  sent: number
  acked: number
  stored: number
  missing: number
  twice: number
}

const SENDERS = 3

/** Kills the server `rounds` times while clients send, and counts the messages. */
export async function killUnderLiveLoad(engine: Engine, rounds: number): Promise<LiveCounts> {
  const database = await createDatabase(engine)
  const server = await ServerProcess.start({ env: { ...database.env, ENABLE_WEBSOCKETS: 'true' } })
  const key = PrivateKey.fromRandom()
  const recipient = key.toPublicKey().toString()
  const acked = new Set<string>()
  let sent = 0
  try {
    for (let round = 0; round < rounds; round++) {
      const senders = await Promise.all(
        Array.from(
          { length: SENDERS },
          async () => await new LightSocket(server.origin).authenticate(),
        ),
      )
      const stop = new AbortController()
      const sending = senders.map(
        async (socket) => await sendUntilAborted(socket, recipient, acked, stop.signal),
      )
      const before = acked.size
      await eventually(
        () => acked.size >= before + 50 || undefined,
        () => 'too few messages were acked',
      )
      await pause(Math.random() * 300)
      await server.kill()
      stop.abort()
      for (const count of await Promise.all(sending)) sent += count
      senders.forEach((socket) => {
        socket.close()
      })
      await server.start()
    }
    return { sent, acked: acked.size, ...(await audit(server.origin, key, acked)) }
  } finally {
    await server.kill()
    await database.drop()
  }
}

async function sendUntilAborted(
  socket: LightSocket,
  recipient: string,
  acked: Set<string>,
  signal: AbortSignal,
): Promise<number> {
  const roomId = `${recipient}-load`
  const prefix = randomBytes(8).toString('hex')
  let sent = 0
  let answered = 0
  while (!signal.aborted) {
    socket.emit('sendMessage', {
      roomId,
      message: { messageId: `${prefix} ${sent++}`, recipient, body: 'x'.repeat(200) },
    })
    // As many sends as a client has are always in progress.
    if (sent % 8 === 0) await new Promise(setImmediate)
    answered += collect(socket, acked)
    if (sent - answered > 500) await pause(5)
  }
  collect(socket, acked)
  return sent
}

/** @returns the number of answers */
function collect(socket: LightSocket, acked: Set<string>): number {
  const heard = socket.heard.splice(0)
  for (const { data } of heard) {
    const { status, messageId } = data as { status: string; messageId: string }
    if (status === 'success') acked.add(messageId)
  }
  return heard.length
}

async function audit(
  origin: string,
  key: PrivateKey,
  acked: Set<string>,
): Promise<Pick<LiveCounts, 'stored' | 'missing' | 'twice'>> {
  const session = await handshake(origin, key)
  const listed = new Map<string, number>()
  let offset: number | null = 0
  while (offset !== null) {
    const { body } = await post(session, '/listMessages', { messageBox: 'load', offset })
    for (const { messageId } of body.messages as Array<{ messageId: string }>)
      listed.set(messageId, (listed.get(messageId) ?? 0) + 1)
    offset = body.nextOffset as number | null
  }
  return {
    stored: listed.size,
    missing: [...acked].filter((id) => !listed.has(id)).length,
    twice: [...listed.values()].filter((count) => count > 1).length,
  }
}
