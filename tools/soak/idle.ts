/** Many idle authenticated sockets: whether they stay, their memory, and the delivery time. */
import { setTimeout as pause } from 'node:timers/promises'
import { createDatabase } from '../databases/databases'
import { LightSocket } from '../clients/lightSocket'
import { ServerProcess } from '../programs/processes'
import { residentBytes } from './memory'

export interface IdleCounts {
  sockets: number
  /** Still connected at the end. */
  stayed: number
  /** The median and maximum time from a send to its delivery, in milliseconds. */
  medianMilliseconds: number
  worstMilliseconds: number
  /** The resident memory of the server for each socket, in bytes. */
  bytesPerSocket: number
}

/** The sockets of one batch open at the same time. */
const BATCH_SOCKETS = 50
const SAMPLES = 41

export async function holdIdle(
  count: number,
  seconds: number,
  log: (text: string) => void = () => {},
): Promise<IdleCounts> {
  const database = await createDatabase('sqlite')
  const server = await ServerProcess.start({ env: { ...database.env, ENABLE_WEBSOCKETS: 'true' } })
  const sockets: LightSocket[] = []
  try {
    const before = residentBytes(server.pid!)
    while (sockets.length < count) {
      const batch = Array.from(
        { length: Math.min(BATCH_SOCKETS, count - sockets.length) },
        async () => await open(server.origin),
      )
      sockets.push(...(await Promise.all(batch)))
      if (sockets.length % 1000 === 0) log(`${sockets.length} sockets are open`)
    }
    log(`holding them for ${seconds} s`)
    await pause(seconds * 1000)
    const bytesPerSocket = Math.round((residentBytes(server.pid!) - before) / count)
    const times = await measureDelivery(server.origin, sockets)
    const stayed = sockets.filter((socket) => socket.raw.connected).length
    return {
      sockets: count,
      stayed,
      medianMilliseconds: times[SAMPLES >> 1]!,
      worstMilliseconds: times.at(-1)!,
      bytesPerSocket,
    }
  } finally {
    sockets.forEach((socket) => {
      socket.close()
    })
    await server.kill()
    await database.drop()
  }
}

async function open(origin: string): Promise<LightSocket> {
  const socket = await new LightSocket(origin, { options: { reconnection: false } }).authenticate()
  socket.emit('joinRoom', `${socket.identityKey}-inbox`)
  await socket.next('joinedRoom')
  return socket
}

/** Sorted times, the shortest first. */
async function measureDelivery(origin: string, sockets: LightSocket[]): Promise<number[]> {
  const sender = await new LightSocket(origin).authenticate()
  const times: number[] = []
  for (let i = 0; i < SAMPLES; i++) {
    const listener = sockets[Math.floor((i * sockets.length) / SAMPLES)]!
    const roomId = `${listener.identityKey}-inbox`
    const since = performance.now()
    sender.emit('sendMessage', {
      roomId,
      message: { messageId: String(i), recipient: listener.identityKey, body: 'hello' },
    })
    await listener.next(`sendMessage-${roomId}`)
    times.push(Math.round((performance.now() - since) * 10) / 10)
  }
  sender.close()
  return times.sort((a, b) => a - b)
}
