/**
 * Socket.IO's connection state recovery with bounded memory. The adapter that comes with Socket.IO keeps every
 * frame to everybody for minutes; this one keeps, for each socket, the few last frames that may have been lost
 * in a broken connection, and for a socket that is away what it would have heard, as long as that is little.
 */
import { Adapter, type BroadcastOptions, type Session, type SocketId } from 'socket.io-adapter'

/** About how many bytes of frames are kept for a socket that is connected, and for one that is away. */
const CONNECTED_BYTES = 128 * 1024
const AWAY_BYTES = 1024 * 1024
/** How Socket.IO's packets of an event begin. */
const EVENT_PACKET = '2'
/** How many sockets may be away at once; beyond it, who went first is let go. */
const MAX_AWAY = 10_000
/** How often old frames and expired sessions are let go, in milliseconds. */
const SWEEP = 10_000

type SessionToPersist = Omit<Session, 'missedPackets'>
/** The arguments of one event, in JSON. */
type Frame = string

/** The last frames of one socket; `start` is the number of the first one. The client knows a number as its offset. */
interface FrameLog {
  start: number
  frames: Frame[]
  bytes: number
  touched: number
}

export class RecoveryAdapter extends Adapter {
  /** Called when a socket that was away can no longer come back. */
  onExpired: (id: SocketId) => void = () => {}
  readonly #logs = new Map<SocketId, FrameLog>()
  /** By the private id that a client shows when it comes back. */
  readonly #away = new Map<string, { session: SessionToPersist, until: number }>()
  readonly #awayIds = new Map<SocketId, string>()
  readonly #duration: number
  readonly #timer: NodeJS.Timeout

  constructor (nsp: Adapter['nsp']) {
    super(nsp)
    this.#duration = nsp.server.opts.connectionStateRecovery.maxDisconnectionDuration
    this.#timer = setInterval(() => { this.#sweep() }, SWEEP).unref()
  }

  override close (): void {
    clearInterval(this.#timer)
  }

  /** Whether a socket that has gone may come back. */
  isAway (id: SocketId): boolean {
    return this.#awayIds.has(id)
  }

  /** Socket.IO's own emits come through here; `rooms` are the ids of the sockets they are for. */
  override broadcast (packet: { data: unknown[] }, { rooms }: BroadcastOptions): void {
    for (const id of rooms) this.emitTo(id, JSON.stringify(packet.data))
  }

  /**
   * Emits to a socket, be it there or away: the event is numbered, kept, and written where the socket is there.
   * @param event name and arguments as a JSON array: what Socket.IO would make of them, without making it again
   */
  emitTo (id: SocketId, event: string): void {
    const socket = this.nsp.sockets.get(id)
    if (socket === undefined && !this.isAway(id)) return // it cannot come back
    const frame = this.#keep(id, event, socket !== undefined)
    const namespace = this.nsp.name === '/' ? '' : `${this.nsp.name},`
    socket?.client.writeToEngine([`${EVENT_PACKET}${namespace}${frame}`], {})
  }

  override persistSession (session: SessionToPersist): void {
    this.#away.set(session.pid, { session, until: Date.now() + this.#duration })
    this.#awayIds.set(session.sid, session.pid)
    if (this.#away.size > MAX_AWAY) this.#expire(this.#awayIds.keys().next().value!)
  }

  override async restoreSession (pid: string, offset: string): Promise<Session> {
    const away = this.#away.get(pid)
    const log = this.#logs.get(away?.session.sid ?? '')
    const skipped = log === undefined ? NaN : Number(offset) + 1 - log.start
    // Socket.IO takes null for a session that is not there; its types do not say so.
    if (away === undefined || log === undefined || !(skipped >= 0) || away.until < Date.now()) return null as unknown as Session
    this.#away.delete(pid)
    this.#awayIds.delete(away.session.sid)
    return { ...away.session, missedPackets: log.frames.slice(skipped).map(frame => JSON.parse(frame) as unknown[]) }
  }

  /** Lets go of all that is kept for a socket: it cannot come back. */
  forget (id: SocketId): void {
    this.#logs.delete(id)
    this.#away.delete(this.#awayIds.get(id) ?? '')
    this.#awayIds.delete(id)
  }

  /** @returns the event with its number behind it, which a client that comes back shows */
  #keep (id: SocketId, event: string, connected: boolean): Frame {
    let log = this.#logs.get(id)
    if (log === undefined) this.#logs.set(id, log = { start: 1, frames: [], bytes: 0, touched: 0 })
    const frame = `${event.slice(0, -1)},"${log.start + log.frames.length}"]`
    log.frames.push(frame)
    log.bytes += weigh(frame)
    log.touched = Date.now()
    if (!connected && log.bytes > AWAY_BYTES) this.#expire(id)
    while (connected && log.bytes > CONNECTED_BYTES) {
      log.bytes -= weigh(log.frames.shift()!)
      log.start++
    }
    return frame
  }

  #expire (id: SocketId): void {
    this.forget(id)
    this.onExpired(id)
  }

  #sweep (): void {
    const now = Date.now()
    for (const { session, until } of [...this.#away.values()]) {
      if (until < now) this.#expire(session.sid)
    }
    for (const [id, log] of this.#logs) {
      if (log.touched + this.#duration > now || !this.nsp.sockets.has(id)) continue
      log.start += log.frames.length
      log.frames = []
      log.bytes = 0
    }
  }
}

/** About how many bytes a frame takes. */
function weigh (frame: Frame): number {
  return 128 + frame.length
}
