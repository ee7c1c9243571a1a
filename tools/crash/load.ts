/**
 * Clients that send and acknowledge without a pause. They repeat a request without an answer, or
 * with the answer 503, with the same ids until it succeeds.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Caller, type Answer } from '../clients/caller'
import { Ledger, makeBody } from './ledger'

export const BOX = 'inbox'
const SENDERS = 16
/** The last of the recipients are readers: they acknowledge messages while the load runs. */
const RECIPIENTS = 4
const READERS = 2
const SMALL_BODY_CHARACTERS = 300
/** Does not fit into one SQL statement, so the server stores it with several. */
const LARGE_BODY_CHARACTERS = 5.5 * 1024 * 1024
const LARGE_PAUSE_MS = 400
const RETRY_PAUSE_MS = 50

export class Load {
  readonly ledger = new Ledger()
  recipients: Caller[] = []
  #work: Array<Promise<void>> = []
  #stopped = false

  /** @param origins servers with one key. They share the senders; the readers use the first */
  static async start(origins: string[]): Promise<Load> {
    const load = new Load()
    const [origin = ''] = origins
    const connect = async (count: number): Promise<Caller[]> =>
      await Promise.all(Array.from({ length: count }, async () => await Caller.connect(origin)))
    load.recipients = await connect(RECIPIENTS)
    const senders = await connect(SENDERS)
    load.#work = [
      ...senders.map(async (sender, index) => {
        await load.#send(sender.at(origins[index % origins.length]!), index)
      }),
      ...load.recipients.slice(-READERS).map(async (reader) => {
        await load.#read(reader)
      }),
    ].map(async (work) => {
      await work.catch((error) => {
        load.ledger.faults.push(String(error))
      })
    })
    return load
  }

  /** Ends the load. Clients do not repeat requests any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#work)
  }

  async #send(sender: Caller, index: number): Promise<void> {
    for (let round = index; !this.#stopped; round++) {
      const large = index === 0
      // Every fourth message has several recipients. Only recipients that keep it get a large one.
      const recipients =
        !large && round % 4 === 0
          ? this.recipients.slice(1)
          : [this.recipients[round % (large ? RECIPIENTS - READERS : RECIPIENTS)]!]
      const messageIds = recipients.map(() => randomBytes(16).toString('hex'))
      const size = large ? LARGE_BODY_CHARACTERS : SMALL_BODY_CHARACTERS
      recipients.forEach(({ identityKey }, i) => {
        this.ledger.open({
          messageId: messageIds[i]!,
          recipient: identityKey,
          size,
          together: messageIds,
        })
      })
      // All recipients of a message share its body.
      const body = makeBody(messageIds[0]!, size)
      const message = {
        recipients: recipients.map((recipient) => recipient.identityKey),
        messageId: messageIds,
        messageBox: BOX,
        body,
      }
      const answer = await this.#insist(sender, '/sendMessage', { message })
      if (answer?.status === 200) this.ledger.answer(messageIds)
      if (large) await pause(LARGE_PAUSE_MS)
    }
  }

  async #read(reader: Caller): Promise<void> {
    while (!this.#stopped) {
      const page = await this.#insist(reader, '/listMessages', { messageBox: BOX, limit: 3 })
      const messages = (page?.status === 200 ? page.body.messages : []) as Array<{
        messageId: string
      }>
      const entries = messages.map(({ messageId }) => this.ledger.entries.get(messageId)!)
      for (const { messageId, acknowledged } of entries) {
        if (acknowledged === 'answered')
          this.ledger.faults.push(`${messageId} is listed after its acknowledgement`)
      }
      // A sender without an answer may repeat a removed message, so readers keep that one.
      const messageIds = entries.filter((entry) => entry.answered).map((entry) => entry.messageId)
      if (messageIds.length > 0) await this.#acknowledge(reader, messageIds)
      else await pause(RETRY_PAUSE_MS)
    }
  }

  async #acknowledge(reader: Caller, messageIds: string[]): Promise<void> {
    this.ledger.acknowledge(messageIds, 'asked')
    const answer = await this.#insist(reader, '/acknowledgeMessage', { messageIds })
    if (answer !== undefined) this.ledger.acknowledge(messageIds, 'answered')
  }

  /** Repeats a request until its answer. Undefined if the load ended, or the answer is wrong. */
  async #insist(caller: Caller, path: string, content: unknown): Promise<Answer | undefined> {
    for (let attempt = 1; ; attempt++) {
      const begin = Date.now()
      const answer = await caller.post(path, content)
      this.ledger.slowest = Math.max(this.ledger.slowest, Date.now() - begin)
      if (answer !== undefined && answer.status !== 503) return this.#judge(answer, path, attempt)
      if (answer === undefined) this.ledger.unanswered++
      else this.ledger.refused++
      if (this.#stopped) return undefined
      await pause(RETRY_PAUSE_MS)
      this.ledger.repeats++
    }
  }

  /** A repeat may be a duplicate as a whole. The first attempt may not. */
  #judge({ status, body }: Answer, path: string, attempt: number): Answer | undefined {
    const results = (body.results ?? []) as Array<{ duplicate?: true }>
    const known = results.filter(({ duplicate }) => duplicate).length
    const repeated = known > 0 || body.code === 'ERR_INVALID_ACKNOWLEDGMENT'
    const whole = known === 0 || known === results.length
    if ((status === 200 || repeated) && whole && (attempt > 1 || !repeated)) {
      if (repeated) this.ledger.duplicates++
      return { status, body }
    }
    const what = String(body.code ?? `${known} duplicates of ${results.length}`)
    this.ledger.faults.push(`${path} was answered ${status} ${what} at attempt ${attempt}`)
    return undefined
  }
}
