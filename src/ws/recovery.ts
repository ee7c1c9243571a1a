/**
 * Socket.IO's connection state recovery with limited memory. A client whose connection broke
 * continues on a new one, also while the server still has the old one. Its `Outbox` keeps what it
 * may have missed. Socket.IO's own adapter keeps every event to every socket for minutes.
 */
import { Adapter, type BroadcastOptions, type Session, type SocketId } from 'socket.io-adapter'
import type { Socket } from 'socket.io'
import type { Outbox } from './outbox'

/**
 * How many sockets may be away at once. Beyond it, the one that has been away longest is dropped.
 */
const MAX_AWAY = 10_000
/** How often expired sessions and old events are dropped. */
const SWEEP_MS = 10_000

type SessionToPersist = Omit<Session, 'missedPackets'>

interface Member {
  io: Socket
  outbox: Outbox
}

export class RecoveryAdapter extends Adapter {
  /** Called when a socket that was away can no longer come back. */
  onExpired: (id: SocketId) => void = () => {}
  readonly #members = new Map<SocketId, Member>()
  readonly #idsByPid = new Map<string, SocketId>()
  /** By the private id that a client sends when it comes back. */
  readonly #away = new Map<string, { session: SessionToPersist; until: number }>()
  readonly #awayIds = new Map<SocketId, string>()
  readonly #durationMs: number
  readonly #timer: NodeJS.Timeout

  constructor(nsp: Adapter['nsp']) {
    super(nsp)
    this.#durationMs = nsp.server.opts.connectionStateRecovery.maxDisconnectionDuration
    this.#timer = setInterval(() => {
      this.#sweep()
    }, SWEEP_MS).unref()
  }

  override close(): void {
    clearInterval(this.#timer)
  }

  /** Registers a socket's connection and its outbox. */
  register(io: Socket, outbox: Outbox): void {
    this.#members.set(io.id, { io, outbox })
    this.#idsByPid.set(pidOf(io), io.id)
  }

  /** Whether a socket that has gone may come back. */
  isAway(id: SocketId): boolean {
    return this.#awayIds.has(id)
  }

  /** Socket.IO's own events pass here; `rooms` contains the ids of their sockets. */
  override broadcast(packet: { data: unknown[] }, { rooms }: BroadcastOptions): void {
    for (const id of rooms) this.#members.get(id)?.outbox.sendOnce(JSON.stringify(packet.data))
  }

  override persistSession(session: SessionToPersist): void {
    this.#away.set(session.pid, { session, until: Date.now() + this.#durationMs })
    this.#awayIds.set(session.sid, session.pid)
    if (this.#away.size > MAX_AWAY) this.expire(this.#awayIds.keys().next().value!)
  }

  /**
   * Restores no missed events: the client has to prove its identity on the new connection first.
   */
  override async restoreSession(pid: string, offset: string): Promise<Session> {
    this.#endPresent(pid)
    const away = this.#away.get(pid)
    const outbox = this.#members.get(away?.session.sid ?? '')?.outbox
    // Socket.IO accepts null for a missing session, though its types do not say so.
    if (
      away === undefined ||
      away.until < Date.now() ||
      outbox?.canResume(numberOf(offset)) !== true
    )
      return null as unknown as Session
    this.#away.delete(pid)
    this.#awayIds.delete(away.session.sid)
    return { ...away.session, missedPackets: [] }
  }

  /** Drops all that is kept for a socket: it cannot come back. */
  forget(id: SocketId): void {
    const member = this.#members.get(id)
    if (member === undefined) return
    member.outbox.close()
    this.#members.delete(id)
    this.#idsByPid.delete(pidOf(member.io))
    this.#away.delete(this.#awayIds.get(id) ?? '')
    this.#awayIds.delete(id)
  }

  /** The same as `forget`, for a socket that was away. */
  expire(id: SocketId): void {
    this.forget(id)
    this.onExpired(id)
  }

  /** Ends the old connection of a client that comes back, for example over another network. */
  #endPresent(pid: string): void {
    const io = this.#members.get(this.#idsByPid.get(pid) ?? '')?.io
    if (io?.connected === true) io.conn.close(true)
  }

  #sweep(): void {
    const now = Date.now()
    for (const { session, until } of [...this.#away.values()]) {
      if (until < now) this.expire(session.sid)
    }
    for (const { outbox } of this.#members.values()) outbox.dropOlderThan(this.#durationMs)
  }
}

/** The private id, which Socket.IO's types do not have. */
function pidOf(io: Socket): string {
  return (io as unknown as { pid: string }).pid
}

/** The number of the last event that a client has received, from the offset that it sends. */
export function numberOf(offset: string): number {
  return Number(offset.split('.', 1)[0])
}

/** The text after that number in the offset. */
export function sealedOf(offset: string): string {
  return offset.slice(offset.indexOf('.') + 1)
}
