import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Device, DeviceStore } from '../db/devices'
import { codeOf } from '../db/engine/faults'
import { ApiError } from '../contract/errors'
import type { Publish } from '../mailbox'
import type { IdentityKey, PublishedMessage } from '../contract/protocol'
import type { Notice, PushService } from './pushService'
import { Queue, type Bounds } from './queue'
import { ThrottledLog } from './throttledLog'

export interface PusherParts {
  devices: DeviceStore
  service: PushService
  boxes: string[]
  logger: Logger
}

/** A message's devices are notified in sequence, so `working` limits requests to the service. */
const BOUNDS: Bounds = { working: 20, waiting: 1000, waitingOfOne: 100 }
const MAX_RETRIES = 3
/** Doubles with each retry. */
const MIN_RETRY_PAUSE_MS = 500
const CLOSE_TIMEOUT_MS = 1000
/** A device's last use is stored at most this often. */
const LAST_USED_PRECISION_MS = 60 * 60 * 1000

type Job = Notice & { recipient: IdentityKey }

export class Pusher {
  readonly #boxes: Set<string>
  readonly #queue: Queue<Job>
  readonly #log: ThrottledLog
  #closed = false

  constructor(private readonly parts: PusherParts) {
    this.#boxes = new Set(parts.boxes)
    this.#queue = new Queue(async (job) => {
      await this.#push(job)
    }, BOUNDS)
    this.#log = new ThrottledLog(parts.logger)
  }

  readonly publish: Publish = (message) => {
    if (this.#boxes.has(message.messageBox)) this.#add(message)
    return 0
  }

  async close(): Promise<void> {
    const dropped = await this.#queue.close(CLOSE_TIMEOUT_MS)
    this.#closed = true
    if (dropped > 0)
      this.parts.logger.warn(
        { messages: dropped },
        'the devices of some messages were not told any more',
      )
    await this.parts.service.close()
  }

  /** A queued job holds no body. */
  #add({ messageId, messageBox, sender, recipient }: PublishedMessage): void {
    if (!this.#queue.add(recipient, { messageId, messageBox, sender, recipient }))
      this.#log.add('the devices of a message were not told', 'too much waits')
  }

  async #push({ recipient, ...notice }: Job): Promise<void> {
    await this.#attempt(async () => {
      const devices = await this.parts.devices.list(recipient)
      for (const device of devices)
        if (device.active && !this.#closed)
          await this.#attempt(async () => {
            await this.#tell(device, notice)
          })
    })
  }

  async #tell(device: Device, notice: Notice): Promise<void> {
    const { devices } = this.parts
    if (!(await this.#send(device.fcmToken, notice))) await devices.deactivate(device)
    else if (Date.now() - device.lastUsed > LAST_USED_PRECISION_MS) await devices.markUsed(device)
  }

  /** Retries while the service fails for a passing reason. */
  async #send(token: string, notice: Notice): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.parts.service.send(token, notice)
      } catch (error) {
        if (this.#closed || attempt > MAX_RETRIES || !(error as { retryable?: boolean }).retryable)
          throw error
      }
      const waitMs = MIN_RETRY_PAUSE_MS * 2 ** (attempt - 1)
      await pause(waitMs * (1 + Math.random()), undefined, { ref: false })
    }
  }

  /** Logs an error's name but not its message, which may hold a token. */
  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      const fault =
        error instanceof ApiError ? String(error.fault?.fault ?? error.code) : codeOf(error)
      if (!this.#closed) this.#log.add('a device was not told of a message', fault)
    }
  }
}
