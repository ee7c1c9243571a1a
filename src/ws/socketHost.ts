/** What an AuthSocket needs of the server that it belongs to, and of the program that serves it. */
import type { Brc103 } from '../auth/brc103'
import type { ApiError } from '../contract/errors'
import type { IdentityKey } from '../contract/protocol'
import type { ByteAccount } from '../limits/budget'
import type { MembershipSealer } from './memberships'
import type { Opening } from './peer'
import type { WorkCounter } from './workCounter'

export interface AuthSocketOptions {
  /** The server begins the handshake if the client sends nothing for this long. */
  silenceMs: number
  /** A socket that has proven no identity by then is closed. */
  proofTimeoutMs: number
  /** A socket whose client leaves more bytes than this unread is closed. */
  maxUnsentBytes: number
  /** How many broken or unsigned frames a socket may send before it is closed. */
  maxFaults: number
}

/** The server that a socket belongs to. */
export interface AuthSocketHost {
  counters: { faults: number; slowReaders: number }
  /** What clients have asked for; a server that stops waits for it. */
  work: WorkCounter
  brc103: Brc103
  sealer: MembershipSealer
  /**
   * Counts a frame before the server looks at it.
   * @param identityKey undefined until one is proven
   * @throws ApiError ERR_RATE_LIMITED
   */
  admit: (address: string, identityKey: IdentityKey | undefined, bytes: number) => Promise<void>
  /** Opens an account of the memory for what is sent, or for what has arrived. */
  openAccount: (
    direction: 'incoming' | 'outgoing',
    owners: string[],
    end: () => void,
  ) => ByteAccount
  /** Called when the first identity is proven on the socket. */
  onProven: (id: string) => void
  /** Called when the socket is away and cannot come back. */
  onLost: (id: string) => void
  /** Logs an error that is the server's fault. */
  onError: (error: unknown) => void
}

/** The program that serves a socket. */
export interface AuthSocketListener {
  /** The client has sent an event, and has signed it. */
  onEvent: (eventName: string, data: unknown) => void
  /** An event of the client's exceeds a limit, and is not handled. */
  onRejected: (eventName: string, data: unknown, error: ApiError) => void
  /** The client has proven its identity. */
  onIdentified: (opening: Opening) => void
  /** The client has proven its identity on the present connection. */
  onFresh: () => void
  /** The client has gone for good. */
  onGone: () => void
}
