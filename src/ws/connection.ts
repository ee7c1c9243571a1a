/** The bounds of one Engine.IO connection: how large its frames may be, how many, and what they cost its address. */
import type { Socket as TcpSocket } from 'node:net'
import type { Socket } from 'socket.io'
import type { ByteAccount } from '../limits/budget'
import { pointsOf } from '../limits/meter'
import type { Limits } from '../limits'
import { toOversized } from './oversized'

/** Until an identity is proven a frame, or a poll, has so many bytes at most: enough for a handshake and small events. */
export const UNPROVEN_BYTES = 16 * 1024
/** Afterwards: bytes travel as numbers in JSON, so a live body takes about four times its length, or more if it is escaped. */
const PROVEN_BYTES = 8.5 * 1024 * 1024
/** What is larger still, up to this, arrives whole and is refused unread: its client would otherwise wait for its answer. */
export const RECEIVED_BYTES = 30 * 1024 * 1024
/** How many packets a poll may have, until an identity is proven and afterwards; and how many come before that proof. */
const UNPROVEN_POLL_PACKETS = 32
const PROVEN_POLL_PACKETS = 256
const UNPROVEN_PACKETS = 100
/** What a client says of itself when it enters a namespace is no larger than this, ever. */
const CONNECT_BYTES = UNPROVEN_BYTES
/** How often a connection may ask to enter each namespace. */
const CONNECTS = 10
/** A BRC-103 message has a few objects and arrays. Its bytes are numbers, which cost little to parse. */
const MAX_CONTAINERS = 256
/** The most that Node reads from a connection at once: so much may arrive before a frame's length can be judged. */
const READ_BYTES = 64 * 1024
/** A frame may arrive in this many pieces, and one more for each so many bytes. Each piece takes memory of its own. */
const FREE_PIECES = 512
const BYTES_A_PIECE = 256
const PIECE_OVERHEAD_BYTES = 256

export type EngineSocket = Socket['conn']

/** How many packets that have no place in this protocol a connection may send: they are dropped unread. */
const MAX_DROPPED = 10

interface Packet {
  type: string
  data?: unknown
}

/** What has arrived of a frame that is not whole yet. */
interface Pending {
  socket: TcpSocket
  bytes: number
  pieces: number
  account: ByteAccount
}

export interface ConnectionParts {
  /** The address that the connection counts for. */
  address: string
  limits: Pick<Limits, 'incoming' | 'perAddress'>
  /** How many namespaces a client may enter. */
  namespaces: number
  /** Told of each packet that is dropped. */
  onFault: () => void
}

export class Connection {
  #proven = false
  #introduced = false
  /** What came while no identity was proven. */
  #unprovenBytes = 0
  #unprovenPackets = 0
  #connects = 0
  #dropped = 0
  /** What has arrived of frames that are not whole yet, on each TCP connection. */
  readonly #pending = new Set<Pending>()
  /** When the last answer to a heartbeat came that was not counted. */
  #pongAt = -Infinity

  constructor(
    readonly engine: EngineSocket,
    private readonly parts: ConnectionParts,
  ) {
    engine.on('packet', (packet: Packet) => {
      this.#receive(packet)
    })
    engine.on('upgrade', () => {
      this.#whole()
    })
  }

  get address(): string {
    return this.parts.address
  }

  get open(): boolean {
    return this.engine.readyState === 'open'
  }

  /** An identity is proven on this connection. */
  prove(): void {
    this.#proven = true
  }

  /** The client has begun a handshake here, or has shown that it was here before: its first proof may be a large one. */
  introduce(): void {
    this.#introduced = true
  }

  /** How many bytes the next frame or poll may have. */
  get maxBytes(): number {
    if (this.#proven) return RECEIVED_BYTES
    return this.#introduced
      ? Math.max(UNPROVEN_BYTES, PROVEN_BYTES - this.#unprovenBytes)
      : UNPROVEN_BYTES
  }

  get maxPollPackets(): number {
    return this.#proven ? PROVEN_POLL_PACKETS : UNPROVEN_POLL_PACKETS
  }

  /** Follows the TCP connection of a WebSocket, so that frames which are begun and never ended take no more than their share. */
  follow(socket: TcpSocket): void {
    const pending: Pending = {
      socket,
      bytes: 0,
      pieces: 0,
      account: this.parts.limits.incoming.open([this.address], () => {
        this.end()
      }),
    }
    this.#pending.add(pending)
    // Before the WebSocket's own listener, which tells of frames that are whole.
    socket.prependListener('data', (piece: Buffer) => {
      pending.bytes += piece.length
      pending.pieces++
      try {
        pending.account.resize(pending.bytes + pending.pieces * PIECE_OVERHEAD_BYTES)
      } catch {
        return this.end()
      }
      if (
        pending.bytes > this.maxBytes + READ_BYTES ||
        pending.pieces > FREE_PIECES + pending.bytes / BYTES_A_PIECE
      )
        this.end()
    })
    socket.once('close', () => {
      pending.account.close()
      this.#pending.delete(pending)
    })
  }

  /** Ends the connection at once; what has arrived and is not decoded yet never will be. */
  end(): void {
    this.engine.close(true)
    // Its WebSocket too, also one that is yet to take over from polling, which Engine.IO would close in its own time.
    for (const { socket } of this.#pending) socket.destroy()
  }

  #receive(packet: Packet): void {
    const { type, data } = packet
    const { address, limits, onFault } = this.parts
    this.#whole()
    const bytes = typeof data === 'string' ? data.length : 0
    if (!this.#isHeartbeat(type)) limits.perAddress.charge(address, 1 + pointsOf({ bytes }))
    if (!this.#isBounded(bytes) || limits.perAddress.isFlooding(address)) return this.end()
    if (type === 'message' && bytes > PROVEN_BYTES) packet.data = toOversized(data as string)
    if (type !== 'message' || this.#belongs(packet.data)) return
    // Engine.IO looks at the type after this, and passes nothing on of a type that it does not know.
    packet.type = DROPPED
    onFault()
    if (++this.#dropped > MAX_DROPPED) this.end()
  }

  /** Whether a packet answers the server's ping. Those that come more often than it asks are counted. */
  #isHeartbeat(type: string): boolean {
    const now = performance.now()
    if (type !== 'pong' || now - this.#pongAt < PONG_INTERVAL_MS) return false
    this.#pongAt = now
    return true
  }

  #isBounded(bytes: number): boolean {
    if (this.#proven) return bytes <= RECEIVED_BYTES
    if (bytes > this.maxBytes || ++this.#unprovenPackets > UNPROVEN_PACKETS) return false
    this.#unprovenBytes += bytes
    return true
  }

  /** Whether a message is one of this protocol, and small enough for what it is. */
  #belongs(data: unknown): boolean {
    // BRC-103 messages are JSON. The parts of a binary packet would be kept until the last one has come.
    if (typeof data !== 'string' || data === '' || BINARY_PACKETS.includes(data.charAt(0)))
      return false
    if (countContainers(data) > MAX_CONTAINERS) return false
    return (
      !data.startsWith(CONNECT_PACKET) ||
      (data.length <= CONNECT_BYTES && ++this.#connects <= this.parts.namespaces * CONNECTS)
    )
  }

  /** A frame has arrived whole on the connection that is in use. Others may have begun one. */
  #whole(): void {
    const current = tcpSocketOf(this.engine.transport)
    for (const pending of this.#pending) {
      if (pending.socket !== current) continue
      pending.bytes = 0
      pending.pieces = 0
      pending.account.resize(0)
    }
  }
}

/** Engine.IO's server pings every 25 seconds. */
const PONG_INTERVAL_MS = 20_000

/** How Socket.IO's packets begin that ask to enter a namespace, and those with binary attachments. */
const CONNECT_PACKET = '0'
const BINARY_PACKETS = ['5', '6']
const DROPPED = 'dropped'

/** Counts objects and arrays, up to one more than is allowed. */
function countContainers(text: string): number {
  let count = 0
  for (const bracket of ['[', '{']) {
    for (
      let at = text.indexOf(bracket);
      at >= 0 && count <= MAX_CONTAINERS;
      at = text.indexOf(bracket, at + 1)
    )
      count++
  }
  return count
}

/** The TCP connection beneath a WebSocket; undefined for polling. */
function tcpSocketOf(transport: EngineSocket['transport']): TcpSocket | undefined {
  return (transport as unknown as { socket?: { _socket?: TcpSocket } }).socket?._socket
}
