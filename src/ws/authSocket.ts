/**
 * AuthSocket: BRC-103 over Socket.IO. It knows nothing of message boxes. Both sides sign every
 * message. A socket's identity is the one that a signature has proven.
 */
import type { Socket } from 'socket.io'
import { AUTH_MESSAGE, type IdentityKey } from '../contract/protocol'
import type { Connection } from './connection'
import { encodeEvent, type EncodedEvent } from './eventCodec'
import { Inbox, type Link } from './inbox'
import { SealedRooms, type Memberships } from './memberships'
import { Outbox } from './outbox'
import { Peer, type Opening, type Proof } from './peer'
import { SigningQueue } from './signingQueue'
import type { AuthSocketHost, AuthSocketListener, AuthSocketOptions } from './socketHost'

/** The event that tells a client, unsigned, that an unsigned event is rejected. */
export const AUTHENTICATION_FAILED = 'authenticationFailed'

/** Longer than any spelling of an identity key. */
const MAX_CLAIMED_KEY_LENGTH = 200

export class AuthSocket {
  readonly id: string
  /** The key a client named when it connected; only a claim. */
  readonly claimedKey: string | undefined
  readonly outbox: Outbox
  readonly rooms: SealedRooms
  listener!: AuthSocketListener
  readonly #peer: Peer
  readonly #inbox: Inbox
  readonly #signing: SigningQueue
  /** What the client has shown of an earlier connection, until it is used. */
  #returning: Memberships | undefined
  #link!: Link
  #ended = false
  /**
   * The last event that a client received before it came back; undefined if no events are held for
   * it.
   */
  #heldFrom: number | undefined
  #silenceTimer: NodeJS.Timeout | undefined
  #proofTimer: NodeJS.Timeout | undefined

  /** @param returning what the client has shown of an earlier connection */
  constructor(
    io: Socket,
    connection: Connection,
    private readonly options: AuthSocketOptions,
    private readonly host: AuthSocketHost,
    returning?: Memberships,
  ) {
    this.id = io.id
    this.claimedKey = readClaimedKey(io)
    this.#returning = returning
    this.rooms = new SealedRooms(host.sealer)
    this.outbox = new Outbox({
      maxUnsentBytes: options.maxUnsentBytes,
      openAccount: (end) => host.openAccount('outgoing', this.#owners(), end),
      onOverflow: () => {
        this.#overflow()
      },
    })
    this.#peer = new Peer(host.brc103, this.#sendHandshake)
    this.#signing = new SigningQueue(this.#peer, this.#write, (error) => {
      host.onError(error)
      this.close()
    })
    this.#inbox = new Inbox({
      peer: this.#peer,
      host,
      listener: () => this.listener,
      maxFaults: options.maxFaults,
      address: () => this.address,
      sendHandshake: this.#sendHandshake,
      sendUnsignedError: this.#sendUnsignedError,
      onProof: this.#onProof,
      close: () => {
        this.close()
      },
      disconnect: () => {
        this.disconnect()
      },
    })
    this.#attach(io, connection)
    if (this.claimedKey !== undefined) this.#peer.openHandshake('named')
    else if (returning !== undefined) this.#peer.openHandshake('return')
    else
      this.#silenceTimer = setTimeout(() => {
        this.#peer.openHandshake('silence')
      }, options.silenceMs).unref()
  }

  /** The proven identity; undefined until there is one. */
  get identityKey(): IdentityKey | undefined {
    return this.#peer.identityKey
  }

  /** What the client has shown of an earlier connection; once. */
  takeReturning(): Memberships | undefined {
    const returning = this.#returning
    this.#returning = undefined
    return returning
  }

  /** The address that the socket's present connection counts for. */
  get address(): string {
    return this.#link.connection.address
  }

  /** Whether the client has gone for good. */
  get ended(): boolean {
    return this.#ended
  }

  /**
   * Signs an event and sends it, in the order of the calls. Before a session exists, the event
   * waits for one.
   */
  emit(eventName: string, data: unknown): void {
    this.send(encodeEvent(eventName, data))
  }

  /** The same as `emit`, for an event that is already encoded. */
  send(event: EncodedEvent): void {
    this.#signing.add(event)
  }

  /** Counts work for the client as pending until it ends: a server that stops waits for it. */
  track(work: Promise<unknown>): void {
    this.host.work.track(work)
  }

  /**
   * Resolves when the identity is proven on the present connection.
   * @throws ApiError UNAUTHORIZED
   */
  async proveFresh(): Promise<void> {
    await this.#peer.proveFresh()
  }

  /** Ends the socket for good: its client does not connect again by itself. */
  disconnect(): void {
    this.#link.io.disconnect(true)
  }

  /** Closes the connection; its client may connect again. */
  close(): void {
    this.#link.connection.engine.close()
  }

  /**
   * Continues on the connection on which a client has come back. The client receives nothing until
   * it has proven its identity there.
   * @param offset the number of the last event that it has received
   */
  reattach(io: Socket, connection: Connection, offset: number): void {
    this.#attach(io, connection)
    this.#heldFrom = offset
    this.outbox.hold()
    this.#peer.openHandshake('return')
  }

  /** The connection is broken; the client may come back. */
  detach(): void {
    clearTimeout(this.#silenceTimer)
    clearTimeout(this.#proofTimer)
    this.outbox.detach()
  }

  /** The client has gone for good. */
  end(): void {
    this.detach()
    if (!this.#ended) this.listener.onGone()
    this.#ended = true
    this.#inbox.end()
    this.#signing.end()
    this.#link.waiting.close()
  }

  #attach(io: Socket, connection: Connection): void {
    const link: Link = (this.#link = {
      io,
      connection,
      peer: this.#peer.createLink(),
      waiting: this.host.openAccount('incoming', [connection.address], () => {
        connection.end()
      }),
    })
    // Otherwise the client's auth data would stay in memory as long as its socket.
    io.handshake.auth = {}
    this.outbox.attach(io)
    clearTimeout(this.#proofTimer)
    this.#proofTimer = setTimeout(() => {
      this.close()
    }, this.options.proofTimeoutMs).unref()
    io.on(AUTH_MESSAGE, (frame) => {
      clearTimeout(this.#silenceTimer)
      this.#inbox.add(frame, link)
    })
    io.onAny((eventName) => {
      if (eventName !== AUTH_MESSAGE) this.#rejectUnsigned()
    })
  }

  readonly #onProof = (proof: Proof, opening: Opening, { connection }: Link): void => {
    connection.prove()
    clearTimeout(this.#proofTimer)
    this.#proofTimer = undefined
    this.#signing.flush()
    if (proof.isFirst) {
      // From now on the output counts for the identity as well.
      this.outbox.changeOwners()
      this.host.onProven(this.id)
      if (!this.#ended) this.listener.onIdentified(opening)
    }
    if (!proof.isFresh) return
    if (this.#heldFrom !== undefined) this.outbox.release(this.#heldFrom)
    this.#heldFrom = undefined
    if (!this.#ended) this.listener.onFresh()
  }

  /** @param message a signed general message in JSON */
  readonly #write = (message: string, identityKey: IdentityKey): void => {
    const sealed = this.rooms.sealChanges(identityKey)
    if (sealed !== undefined) this.outbox.sealed = sealed
    if (!this.outbox.send(`["${AUTH_MESSAGE}",${message}`)) this.#lose()
  }

  /** Sends a BRC-103 message that belongs to the present connection only. */
  readonly #sendHandshake = (message: object): void => {
    this.outbox.sendOnce(`["${AUTH_MESSAGE}",${JSON.stringify(message)}]`)
  }

  readonly #sendUnsignedError = (reason: string): void => {
    this.outbox.sendOnce(JSON.stringify([AUTHENTICATION_FAILED, { reason }]))
  }

  #rejectUnsigned(): void {
    clearTimeout(this.#silenceTimer)
    this.#sendUnsignedError(
      'This connection must be authenticated with BRC-103: connect with ' +
        '@bsv/authsocket-client, which signs every event.',
    )
    this.#inbox.addFault()
  }

  #owners(): string[] {
    const { address, identityKey } = this
    return identityKey === undefined ? [address] : [address, identityKey]
  }

  #overflow(): void {
    if (!this.#link.io.connected) return this.#lose()
    this.host.counters.slowReaders++
    this.#link.connection.end()
  }

  /** Too much is kept for a client that is away: it has to start anew. */
  #lose(): void {
    if (this.#link.io.connected) this.#link.connection.end()
    this.host.onLost(this.id)
  }
}

function readClaimedKey({ handshake }: Socket): string | undefined {
  const claimed: unknown = handshake.auth.identityKey ?? handshake.query.identityKey
  if (claimed === undefined) return undefined
  return typeof claimed === 'string' && claimed.length <= MAX_CLAIMED_KEY_LENGTH ? claimed : ''
}
