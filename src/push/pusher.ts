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

/** A message's devices are told one after the other, so `working` bounds the requests to the service too. */
const BOUNDS: Bounds = { working: 20, waiting: 1000, waitingOfOne: 100 }
/** How often a notice is sent again that the service has failed to take, and after how long at least, twice as long each time. */
const RETRIES = 3
const FIRST_RETRY_MS = 500
/** How long a stop waits for what is under way, in milliseconds. */
const PATIENCE = 1000
/** How exactly it is kept when a device was last used, in milliseconds: a write for each notice would be too much. */
const USE_LASTS = 60 * 60 * 1000

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

  follow(publish: Publish): Publish {
    return (message) => {
      const sockets = publish(message)
      if (this.#boxes.has(message.messageBox)) this.#add(message)
      return sockets
    }
  }

  async close(): Promise<void> {
    const dropped = await this.#queue.close(PATIENCE)
    this.#closed = true
    if (dropped > 0)
      this.parts.logger.warn(
        { messages: dropped },
        'the devices of some messages were not told any more',
      )
    await this.parts.service.close()
  }

  /** What waits holds no body. */
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
    else if (Date.now() - device.lastUsed > USE_LASTS) await devices.markUsed(device)
  }

  /** Sends a notice, and again if the service has failed for the moment. */
  async #send(token: string, notice: Notice): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.parts.service.send(token, notice)
      } catch (error) {
        if (this.#closed || attempt > RETRIES || !(error as { retryable?: boolean }).retryable)
          throw error
      }
      const waitMs = FIRST_RETRY_MS * 2 ** (attempt - 1)
      await pause(waitMs * (1 + Math.random()), undefined, { ref: false })
    }
  }

  /** Whatever goes wrong is logged by its name alone: texts may hold tokens. */
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
