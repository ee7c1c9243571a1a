/** The visitor's connection to a server: a released client, replaced after a broken connection. */
import { MessageBoxClient, type PeerMessage } from '@bsv/message-box-client'
import { ProtoWallet, type PrivateKey, type WalletInterface } from '@bsv/sdk'
import { tapSocket } from './tapSocket'
import { inWords } from './words'

export interface Target {
  key: PrivateKey
  /** The address of the server, with its prefix. */
  host: string
  messageBox: string
}

/** `silent`: connected to a server without live messages. */
export type State =
  | { kind: 'connecting' }
  | { kind: 'live' }
  | { kind: 'silent' }
  | { kind: 'lost'; reason: string; seconds: number }

export interface Listeners {
  onState: (state: State) => void
  onMessage: (message: PeerMessage) => void
  /** Connected or reconnected. Messages that arrived before are in the box. */
  onReady: () => void
}

/** The delays of the first reconnects; the last one is used for all further ones. */
const RECONNECT_DELAYS_S = [1, 2, 4, 8]

type Socket = NonNullable<MessageBoxClient['testSocket']>

export class Connection {
  client: MessageBoxClient
  #socket: Socket | undefined
  #closed = false
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    readonly target: Target,
    private readonly listeners: Listeners,
  ) {
    this.client = this.#createClient()
    void this.#open(0)
  }

  /** Whether messages can go over the socket now. */
  get isLive(): boolean {
    return this.#socket?.connected === true
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#drop()
  }

  #createClient(): MessageBoxClient {
    const { key, host } = this.target
    // With "local" the client looks up hosts at http://localhost:8080, not on the overlay network.
    return new MessageBoxClient({
      host,
      walletClient: new ProtoWallet(key) as unknown as WalletInterface,
      networkPreset: 'local',
    })
  }

  /** @param failures how many attempts in a row have failed before this one */
  async #open(failures: number): Promise<void> {
    this.listeners.onState({ kind: 'connecting' })
    try {
      const live = await this.#offersLive()
      if (live) await this.#listen()
      if (this.#closed) return this.#drop()
      this.listeners.onState(live ? { kind: 'live' } : { kind: 'silent' })
      this.listeners.onReady()
    } catch (error) {
      this.#reconnect(failures, inWords(error))
    }
  }

  /** True if /info does not say: then the client tries to connect. */
  async #offersLive(): Promise<boolean> {
    const answer = await fetch(`${this.target.host}/info`)
    const { features } = (await answer.json().catch(() => ({}))) as {
      features?: { live?: boolean }
    }
    return features?.live !== false
  }

  async #listen(): Promise<void> {
    const {
      client,
      listeners,
      target: { messageBox },
    } = this
    await client.init()
    // Do not await yet: the socket exists at once, and the page shows the whole handshake.
    const connected = client.initializeConnection()
    const socket = (this.#socket = client.testSocket!)
    tapSocket(socket)
    await connected
    socket.on('disconnect', () => {
      if (this.#socket === socket) this.#reconnect(0, 'The connection broke.')
    })
    await client.listenForLiveMessages({
      messageBox,
      onMessage: (message) => {
        if (!this.#closed) listeners.onMessage(message)
      },
    })
  }

  /** A client does not recover from a lost connection, so a new one connects and joins the room. */
  #reconnect(failures: number, reason: string): void {
    this.#drop()
    if (this.#closed) return
    const seconds = RECONNECT_DELAYS_S[Math.min(failures, RECONNECT_DELAYS_S.length - 1)]!
    this.listeners.onState({ kind: 'lost', reason, seconds })
    this.#timer = setTimeout(() => {
      this.client = this.#createClient()
      void this.#open(failures + 1)
    }, seconds * 1000)
  }

  #drop(): void {
    const socket = this.#socket
    this.#socket = undefined
    socket?.disconnect()
  }
}
