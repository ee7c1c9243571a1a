/**
 * A client of AuthSocket with native signatures, so that one process can hold thousands. Its
 * framing is independent of the server's code. It verifies each event before it counts it.
 */
import { createHash, randomBytes } from 'node:crypto'
import { io, type Socket } from 'socket.io-client'
import { NativeServerKey, type KeyName } from '../../src/auth/serverKey'
import { Secret } from '../../src/lib/secret'

export interface Heard {
  eventName: string
  data: unknown
}

interface Frame {
  messageType: string
  identityKey: string
  nonce?: string
  yourNonce?: string
  initialNonce?: string
  payload?: number[]
  signature?: number[]
}

export class LightSocket {
  readonly wallet: NativeServerKey
  /** In hexadecimal. */
  readonly privateKey: string
  readonly raw: Socket
  /** All verified events. */
  readonly heard: Heard[] = []
  /** All frames, verified or not. */
  frames = 0
  /** The client's nonces of all sessions, and the server's nonce of the newest session, if any. */
  serverNonce = ''
  serverKey = ''
  readonly #clientNonces = new Set<string>()
  #waiting: Array<{ wanted: (heard: Heard) => boolean; found: (heard: Heard) => void }> = []
  #established: () => void = () => {}

  constructor(
    origin: string,
    {
      key = randomBytes(32),
      options = {},
    }: { key?: Buffer; options?: Parameters<typeof io>[1] } = {},
  ) {
    this.privateKey = key.toString('hex')
    this.wallet = new NativeServerKey(new Secret(this.privateKey))
    this.raw = io(origin, { transports: ['websocket'], forceNew: true, ...options })
    this.raw.on('authMessage', (frame: Frame) => {
      this.#receive(frame)
    })
  }

  get identityKey(): string {
    return this.wallet.identityKey
  }

  /** Proves the identity. Resolves with the server's answer to `authenticated`. */
  async authenticate(): Promise<this> {
    await this.handshake()
    this.emit('authenticated', { identityKey: this.identityKey })
    await this.next('authenticationSuccess')
    return this
  }

  async handshake(): Promise<void> {
    const established = new Promise<void>((resolve) => {
      this.#established = resolve
    })
    this.raw.emit('authMessage', {
      version: '0.1',
      messageType: 'initialRequest',
      identityKey: this.identityKey,
      initialNonce: this.#newNonce(),
    })
    await established
  }

  emit(eventName: string, data: unknown, changes: object = {}): void {
    this.raw.emit('authMessage', { ...this.sign({ eventName, data }), ...changes })
  }

  /** A signed general message. */
  sign(content: unknown): object {
    const payload = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content))
    const nonce = randomBytes(32).toString('base64')
    return {
      version: '0.1',
      messageType: 'general',
      identityKey: this.identityKey,
      nonce,
      yourNonce: this.serverNonce,
      payload: [...payload],
      signature: [...this.wallet.signHash(sha256(payload), this.#key(nonce, this.serverNonce))],
    }
  }

  /** Waits for the next event of a name. A call returns each event once. */
  async next(eventName: string): Promise<unknown> {
    return (await this.wait((heard) => heard.eventName === eventName)).data
  }

  async wait(wanted: (heard: Heard) => boolean, timeout = 10_000): Promise<Heard> {
    const index = this.heard.findIndex(wanted)
    if (index >= 0) return this.heard.splice(index, 1)[0]!
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error('the event did not come'))
      }, timeout)
      this.#waiting.push({
        wanted,
        found: (heard) => {
          clearTimeout(timer)
          resolve(heard)
        },
      })
    })
  }

  async closed(): Promise<void> {
    if (this.raw.connected || this.raw.active)
      await new Promise((resolve) => this.raw.once('disconnect', resolve))
  }

  close(): void {
    this.raw.close()
  }

  #receive(frame: Frame): void {
    this.frames++
    if (frame.messageType === 'initialRequest') return this.#answerHandshake(frame)
    if (frame.messageType === 'initialResponse') return this.#establish(frame)
    const payload = Buffer.from(frame.payload!)
    const valid =
      this.#clientNonces.has(frame.yourNonce!) &&
      this.wallet.verifyHash(
        sha256(payload),
        Buffer.from(frame.signature!),
        this.#key(frame.nonce!, frame.yourNonce!),
      )
    if (!valid) return
    const heard = JSON.parse(payload.toString()) as Heard
    const index = this.#waiting.findIndex(({ wanted }) => wanted(heard))
    if (index < 0) this.heard.push(heard)
    else this.#waiting.splice(index, 1)[0]!.found(heard)
  }

  #answerHandshake(frame: Frame): void {
    this.serverKey = frame.identityKey
    this.serverNonce = frame.initialNonce!
    const nonce = this.#newNonce()
    const hash = sha256(
      Buffer.concat([Buffer.from(this.serverNonce, 'base64'), Buffer.from(nonce, 'base64')]),
    )
    this.raw.emit('authMessage', {
      version: '0.1',
      messageType: 'initialResponse',
      identityKey: this.identityKey,
      initialNonce: nonce,
      yourNonce: this.serverNonce,
      signature: [...this.wallet.signHash(hash, this.#key(this.serverNonce, nonce))],
    })
    this.#established()
  }

  #establish(frame: Frame): void {
    this.serverKey = frame.identityKey
    const hash = sha256(Buffer.from(frame.yourNonce! + frame.initialNonce!, 'base64'))
    if (
      !this.wallet.verifyHash(
        hash,
        Buffer.from(frame.signature!),
        this.#key(frame.yourNonce!, frame.initialNonce!),
      )
    )
      return
    this.serverNonce = frame.initialNonce!
    this.#established()
  }

  #newNonce(): string {
    const nonce = randomBytes(48).toString('base64')
    this.#clientNonces.add(nonce)
    return nonce
  }

  #key(nonce: string, yourNonce: string): KeyName {
    return {
      protocolID: [2, 'auth message signature'],
      keyID: `${nonce} ${yourNonce}`,
      counterparty: this.serverKey,
    }
  }
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}
