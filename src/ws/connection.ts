/**
 * The limits of one Engine.IO connection: how large its frames may be, how many, and what they cost
 * its address.
 */
import type { Socket as TcpSocket } from 'node:net'
import type { Socket } from 'socket.io'
import type { ByteAccount } from '../limits/budget'
import { pointsOf } from '../limits/meter'
import type { Limits } from '../limits'
import { PROVEN_POLL_PACKETS, UNPROVEN_POLL_PACKETS } from '../contract/protocol'
import { toOversized } from './oversized'

/**
 * The largest frame or poll before an identity is proven: enough for a handshake and small events.
 */
export const UNPROVEN_BYTES = 16 * 1024
/**
 * The largest frame after that. Bytes travel as numbers in JSON, so a live body takes about four
 * times its length, and more if it is escaped.
 */
const PROVEN_BYTES = 8.5 * 1024 * 1024
/**
 * A larger frame, up to this, is received and then rejected unread: its client waits for an answer.
 */
export const RECEIVED_BYTES = 30 * 1024 * 1024
/** How many packets may come before an identity is proven. */
const UNPROVEN_PACKETS = 100
/** The largest packet that asks to enter a namespace. */
const CONNECT_BYTES = UNPROVEN_BYTES
/** How often a connection may ask to enter each namespace. */
const MAX_CONNECTS_PER_NAMESPACE = 10
/** A BRC-103 message has only a few objects and arrays. Its numbers cost little to parse. */
const MAX_CONTAINERS = 256
/**
 * The most that Node reads at once: this much may arrive before the length of a frame is checked.
 */
const READ_BYTES = 64 * 1024
/**
 * A frame may arrive in this many pieces, plus one for each `BYTES_PER_PIECE`. Each piece takes
 * memory of its own.
 */
const FREE_PIECES = 512
const BYTES_PER_PIECE = 256
const PIECE_OVERHEAD_BYTES = 256

export type EngineSocket = Socket['conn']

/**
 * How many packets that do not belong to the protocol a connection may send. They are dropped
 * unread.
 */
const MAX_DROPPED = 10

interface Packet {
  type: string
  data?: unknown
}

/** What has arrived of a frame that is not complete. */
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
  /** Called for each packet that is dropped. */
  onFault: () => void
}

export class Connection {
  #proven = false
  #introduced = false
  /** What arrived before an identity was proven. */
  #unprovenBytes = 0
  #unprovenPackets = 0
  #connects = 0
  #dropped = 0
  /** The incomplete frames of each TCP connection. */
  readonly #pending = new Set<Pending>()
  /** When the last answer to a heartbeat that was not counted arrived. */
  #pongAt = -Infinity

  constructor(
    readonly engine: EngineSocket,
    private readonly parts: ConnectionParts,
  ) {
    engine.on('packet', (packet: Packet) => {
      this.#receive(packet)
    })
    engine.on('upgrade', () => {
      this.#completeFrame()
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

  /**
   * The client has begun a handshake, or has shown that it was connected before: its first proof
   * may be a large frame.
   */
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

  /** Limits the memory that incomplete frames take on the TCP connection of a WebSocket. */
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
    // Runs before the WebSocket's own listener, which emits complete frames.
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
        pending.pieces > FREE_PIECES + pending.bytes / BYTES_PER_PIECE
      )
        this.end()
    })
    socket.on('close', () => {
      pending.account.close()
      this.#pending.delete(pending)
    })
  }

  /** Ends the connection at once. What has arrived and is not decoded is dropped. */
  end(): void {
    this.engine.close(true)
    // Engine.IO would close WebSockets later, including one that has not yet taken over from
    // polling.
    for (const { socket } of this.#pending) socket.destroy()
  }

  #receive(packet: Packet): void {
    const { type, data } = packet
    const { address, limits, onFault } = this.parts
    this.#completeFrame()
    const bytes = typeof data === 'string' ? data.length : 0
    if (!this.#isHeartbeat(type)) limits.perAddress.charge(address, 1 + pointsOf({ bytes }))
    if (!this.#isBounded(bytes) || limits.perAddress.isFlooding(address)) return this.end()
    if (type === 'message' && bytes > PROVEN_BYTES) packet.data = toOversized(data as string)
    if (type !== 'message' || this.#belongs(packet.data)) return
    // Engine.IO checks the type after this, and ignores packets of unknown types.
    packet.type = DROPPED
    onFault()
    if (++this.#dropped > MAX_DROPPED) this.end()
  }

  /**
   * Whether a packet answers the server's ping. More frequent answers count as other packets do.
   */
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

  /** Whether a message belongs to the protocol, and is small enough for its kind. */
  #belongs(data: unknown): boolean {
    // BRC-103 messages are JSON. Socket.IO would keep the parts of a binary packet until the last
    // one.
    if (typeof data !== 'string' || data === '' || BINARY_PACKETS.includes(data.charAt(0)))
      return false
    if (countContainers(data) > MAX_CONTAINERS) return false
    return (
      !data.startsWith(CONNECT_PACKET) ||
      (data.length <= CONNECT_BYTES &&
        ++this.#connects <= this.parts.namespaces * MAX_CONNECTS_PER_NAMESPACE)
    )
  }

  /** A frame is complete on the connection in use. Other connections may have begun one. */
  #completeFrame(): void {
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

/**
 * The first characters of Socket.IO packets that ask to enter a namespace, or have binary
 * attachments.
 */
const CONNECT_PACKET = '0'
const BINARY_PACKETS = ['5', '6']
const DROPPED = 'dropped'

/** Counts objects and arrays, up to one more than allowed. */
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

/** The TCP connection of a WebSocket; undefined for polling. */
function tcpSocketOf(transport: EngineSocket['transport']): TcpSocket | undefined {
  return (transport as unknown as { socket?: { _socket?: TcpSocket } }).socket?._socket
}
