/** The visitor's connection to a server: the released client, and another one whenever the connection broke. */
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

/** `silent` is connected, to a server without live messages. */
export type State =
  | { kind: 'connecting' }
  | { kind: 'live' }
  | { kind: 'silent' }
  | { kind: 'lost'; reason: string; seconds: number }

export interface Listeners {
  onState: (state: State) => void
  onMessage: (message: PeerMessage) => void
  /** Connected, for the first time or again: what came meanwhile is in the box. */
  onReady: () => void
}

/** Between attempts, in seconds; the last holds for all that follow. */
const PAUSES = [1, 2, 4, 8]

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
    this.client = this.#newClient()
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

  #newClient(): MessageBoxClient {
    const { key, host } = this.target
    // "local" makes the client ask http://localhost:8080 where a recipient's host is, not the overlay network.
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
      this.#comeBack(failures, inWords(error))
    }
  }

  /** A server that does not tell is asked by trying. */
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
    // The socket is there at once; connecting takes a while, and all of it is to be seen.
    const connected = client.initializeConnection()
    const socket = (this.#socket = client.testSocket!)
    tapSocket(socket)
    await connected
    socket.on('disconnect', () => {
      if (this.#socket === socket) this.#comeBack(0, 'The connection broke.')
    })
    await client.listenForLiveMessages({
      messageBox,
      onMessage: (message) => {
        if (!this.#closed) listeners.onMessage(message)
      },
    })
  }

  /** The client forgets a socket whose connection broke: another client begins anew, and joins the room again. */
  #comeBack(failures: number, reason: string): void {
    this.#drop()
    if (this.#closed) return
    const seconds = PAUSES[Math.min(failures, PAUSES.length - 1)]!
    this.listeners.onState({ kind: 'lost', reason, seconds })
    this.#timer = setTimeout(() => {
      this.client = this.#newClient()
      void this.#open(failures + 1)
    }, seconds * 1000)
  }

  #drop(): void {
    const socket = this.#socket
    this.#socket = undefined
    socket?.disconnect()
  }
}
