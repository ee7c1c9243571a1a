/**
 * Brings requests of Socket.IO to the worker that has their session. Any worker may get them: a
 * browser polls over several connections, and a proxy sends requests of many sessions over one.
 * A session's id begins with the number of its worker.
 *
 * Polls pass through a socket in a folder that only this user can open. A connection that becomes a
 * WebSocket moves to the other worker.
 */
import { randomBytes } from 'node:crypto'
import { rmdirSync, rmSync } from 'node:fs'
import {
  IncomingMessage,
  request as sendRequest,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { SOCKET_PATH } from '../contract/protocol'
import { mergeSlashes, toPath } from '../http/target'
import type { Worker } from './worker'

/** The client's address. Only requests from another worker may have it. */
const ADDRESS_HEADER = 'x-messagebox-address'
/** Headers of one connection only, and those that this server answers itself. */
const DROPPED_HEADERS = [
  'connection',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  ADDRESS_HEADER,
]
const ID_BYTES = 18

type HandleUpgrade = (req: IncomingMessage, socket: Socket, head: Buffer) => boolean

export class Relay {
  readonly #polls = new Set<ServerResponse>()
  #isClosing = false

  constructor(private readonly worker: Worker) {}

  /** An id for a new session of this worker. */
  readonly createSessionId = (): string =>
    `${this.worker.number}-${randomBytes(ID_BYTES).toString('base64url')}`

  /** Where this worker takes requests of others. */
  get path(): string {
    return this.#pathOf(this.worker.number)
  }

  /** Removes what a killed worker of the same number has left, and this one's when it ends. */
  claimPath(): void {
    rmSync(this.path, { force: true })
    process.once('exit', () => {
      rmSync(this.path, { force: true })
      try {
        // The last worker, if the supervisor is gone.
        rmdirSync(this.worker.assignment.folder)
      } catch {
        // There are others.
      }
    })
  }

  /** Answers requests of other workers' sessions there, and all others here. */
  forward(onRequest: RequestListener): RequestListener {
    return (req, res) => {
      const owner = this.#ownerOf(req)
      if (owner === undefined) return onRequest(req, res)
      const connection = connect(this.#pathOf(owner))
      const answerHere = (): void => {
        onRequest(req, res)
      }
      connection.once('error', answerHere).once('connect', () => {
        connection.off('error', answerHere).on('error', () => {})
        try {
          this.#pass(req, res, connection)
        } catch {
          // Node does not write some requests that it has read.
          connection.destroy()
          res.destroy()
        }
      })
    }
  }

  /** Answers requests that other workers have passed on. */
  receive(onRequest: RequestListener): RequestListener {
    return (req, res) => {
      const address = req.headers[ADDRESS_HEADER]
      delete req.headers[ADDRESS_HEADER]
      Object.defineProperty(req.socket, 'remoteAddress', { value: address })
      onRequest(req, res)
    }
  }

  /** Gives upgrades of other workers' sessions to these workers. */
  forwardUpgrade(onUpgrade: HandleUpgrade): HandleUpgrade {
    return (req, socket, head) => {
      const owner = this.#ownerOf(req)
      if (owner === undefined) return onUpgrade(req, socket, head)
      socket.on('error', () => {
        socket.destroy()
      })
      const { method = '', url = '', headers } = req
      this.worker.handOver(owner, { method, url, headers, head: head.toString('base64') }, socket)
      return true
    }
  }

  /** Takes upgrades that other workers have given to this one. */
  receiveUpgrades(takeUpgrade: HandleUpgrade): void {
    this.worker.on('upgrade', ({ request: { head, ...request } }, socket) => {
      if (socket === undefined) return // The client has left.
      const req = Object.assign(new IncomingMessage(socket), request)
      if (!takeUpgrade(req, socket, Buffer.from(head, 'base64'))) socket.destroy()
    })
  }

  /** Ends polls that wait for events of other workers. */
  close(): void {
    this.#isClosing = true
    for (const res of this.#polls) res.destroy()
  }

  /** The worker whose session a request names; undefined if this one has to answer. */
  #ownerOf({ url = '' }: IncomingMessage): number | undefined {
    const target = mergeSlashes(toPath(url))
    if (!target.startsWith(SOCKET_PATH)) return undefined
    // As Engine.IO reads it: of several ids the last.
    const id = new URL(target, 'http://socket.invalid').searchParams.getAll('sid').at(-1) ?? ''
    const owner = Number(/^(\d{1,4})-/.exec(id)?.[1] ?? 0)
    const { number, count } = this.worker.assignment
    return owner > 0 && owner <= count && owner !== number ? owner : undefined
  }

  #pathOf(owner: number): string {
    return join(this.worker.assignment.folder, String(owner))
  }

  #pass(req: IncomingMessage, res: ServerResponse, connection: Socket): void {
    const { remoteAddress } = req.socket
    // The client has left.
    if (remoteAddress === undefined || req.socket.destroyed || res.closed)
      return void connection.destroy()
    const giveUp = (): void => {
      connection.destroy()
      res.destroy()
    }
    if (this.#isClosing && req.method === 'GET') return giveUp()
    const passed = sendRequest({
      createConnection: () => connection,
      method: req.method,
      path: req.url,
      headers: [...keptHeaders(req), ADDRESS_HEADER, remoteAddress] as never,
    })
    let isAnswered = false
    passed.on('error', () => {
      if (!isAnswered) giveUp()
    })
    passed.on('response', (answer) => {
      isAnswered = true
      // The rest of the body is not read, so the connection is of no further use.
      if (!req.complete) res.shouldKeepAlive = false
      try {
        res.writeHead(answer.statusCode!, answer.statusMessage, keptHeaders(answer))
      } catch {
        return giveUp()
      }
      answer.on('error', giveUp).pipe(res)
    })
    if (req.method === 'GET') this.#polls.add(res)
    res.once('close', () => {
      this.#polls.delete(res)
      connection.destroy()
    })
    req.pipe(passed)
  }
}

/** The headers that the next connection gets, as they came. */
function keptHeaders({ rawHeaders }: IncomingMessage): string[] {
  const kept: string[] = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!
    if (!DROPPED_HEADERS.includes(name.toLowerCase())) kept.push(name, rawHeaders[at + 1]!)
  }
  return kept
}
