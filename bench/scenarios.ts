/** The scenarios. Each makes operations, signed beforehand, of one or more requests in a row. */
import { randomUUID } from 'node:crypto'
import type { Knex } from 'knex'
import { handshakeRequest, newWallet, type Session } from '../tools/clients/session'
import { encryptedBody, fillBox, fillEach } from './messages'

/** Requests that a connection makes in order. They are timed together. */
export type Operation = Buffer[]

export interface Scenario {
  name: string
  /** The goal, as a multiple of what it is compared to. */
  goal?: number
  connections: number
  /** Writes the data that the scenario reads to the database, once for each run. */
  setUp?: (knex: Knex, identityKeys: string[]) => Promise<void>
  prepare: (knex: Knex, sessions: Session[], count: number) => Promise<Operation[]>
  /** Whether an answer is a success, and contains the right number of messages if it is a list. */
  holds: (answer: Answered) => boolean
}

export interface Answered {
  status?: string
  messages?: unknown[]
  hasMore?: boolean
  initialNonce?: string
}

const SMALL = 32
/** A few large pages keep a core busy. With more, the stock server blocks until they time out. */
const LARGE = 3
/** How many identities there are, each with a session of its own. */
export const IDENTITIES = SMALL

const RECIPIENTS = Array.from({ length: 200 }, () => newWallet().identityKey)

export const SEND: Scenario = {
  name: 'send',
  goal: 10,
  connections: SMALL,
  async prepare(_knex, sessions, count) {
    return repeat(count, (index) => [
      sessions[index % sessions.length]!.sign('/sendMessage', {
        message: {
          recipient: RECIPIENTS[index % RECIPIENTS.length],
          messageBox: 'inbox',
          messageId: randomUUID(),
          body: encryptedBody(300),
        },
      }),
    ])
  },
  holds: isSuccess,
}

export const LIST_100 = listing({
  name: 'list 100',
  goal: 6,
  connections: SMALL,
  messages: 100,
  bodyLength: 160,
})
const LIST_10_000 = listing({
  name: 'list 10,000',
  connections: LARGE,
  messages: 10_000,
  bodyLength: 160,
})
const LIST_5_MB = listing({
  name: 'list 5 MB page',
  goal: 6,
  connections: LARGE,
  messages: 1000,
  bodyLength: 5000,
})

export const ACKNOWLEDGE: Scenario = {
  name: 'acknowledge',
  connections: SMALL,
  async prepare(knex, sessions, count) {
    const owners = repeat(count, (index) => sessions[index % sessions.length]!)
    const ids = await fillEach(
      knex,
      owners.map(({ wallet }) => wallet.identityKey),
      'acknowledged',
      300,
    )
    return owners.map((session, index) => [
      session.sign('/acknowledgeMessage', { messageIds: [ids[index]] }),
    ])
  },
  holds: isSuccess,
}

const HANDSHAKE: Scenario = {
  name: 'handshake',
  goal: 10,
  connections: SMALL,
  async prepare(_knex, _sessions, count) {
    return repeat(count, () => [handshakeRequest(newWallet().identityKey)])
  },
  holds: (answer) => typeof answer.initialNonce === 'string',
}

/** Handshakes are last: the stock server keeps state of each, which would slow later scenarios. */
export const SCENARIOS = [SEND, LIST_100, LIST_10_000, LIST_5_MB, ACKNOWLEDGE, HANDSHAKE]

/** Lists a whole box in pages of at most 1000 messages. */
function listing({
  messages,
  bodyLength,
  ...scenario
}: Pick<Scenario, 'name' | 'goal' | 'connections'> & {
  messages: number
  bodyLength: number
}): Scenario {
  const limit = Math.min(messages, 1000)
  const messageBox = scenario.name
  return {
    ...scenario,
    async setUp(knex, identityKeys) {
      for (const key of identityKeys.slice(0, scenario.connections))
        await fillBox(knex, key, messageBox, messages, bodyLength)
    },
    async prepare(_knex, sessions, count) {
      return repeat(count, (index) =>
        repeat(messages / limit, (page) => {
          return sessions[index % scenario.connections]!.sign('/listMessages', {
            messageBox,
            limit,
            offset: page * limit,
          })
        }),
      )
    },
    holds: (answer) => answer.messages?.length === limit,
  }
}

export function isSuccess({ status }: Answered): boolean {
  return status === 'success'
}

export function repeat<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index))
}
