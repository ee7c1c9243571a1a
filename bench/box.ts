/** Compares a small box to one with very many messages, on the first, middle and last pages. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { Knex } from 'knex'
import { CursorSealer } from '../src/auth/cursor'
import { deriveSealingKey, NativeServerKey } from '../src/auth/serverKey'
import { Secret } from '../src/lib/secret'
import type { Session } from '../tools/clients/session'
import type { BenchDatabase } from './database'
import { encryptedBody, fillBox, fillEach } from './messages'
import { figures, ratios } from './report'
import { runRounds, type Setting } from './rounds'
import { IDENTITIES, isSuccess, repeat, type Operation, type Scenario } from './scenarios'

const BOX = 'inbox'
const BODY_LENGTH = 160
/** A page, and the size of the small box: it has a first, a middle and a last page. */
const PAGE = 100
const SMALL_BOX = 3 * PAGE
/** Of several processes, since the differences are small. */
const GENERATIONS = 4

/** Both servers need the same key, so that the cursors can be made beforehand. */
const SERVER_PRIVATE_KEY = randomBytes(32).toString('hex')
const NO_QUOTA = { INBOX_QUOTA_MESSAGES: '1000000000', INBOX_QUOTA_BYTES: '1000gb' }

/**
 * Measures on the server's core.
 * @param full an empty database, which gets the large box
 * @param small the same for the small box
 * @returns tables as text
 */
export async function compareBoxes(
  full: BenchDatabase,
  small: BenchDatabase,
  count: number,
  setting: Setting,
): Promise<string> {
  const owner = setting.wallets[0]!.identityKey
  await fillBox(full.knex, owner, BOX, count, BODY_LENGTH)
  await fillBox(small.knex, owner, BOX, SMALL_BOX, BODY_LENGTH)
  const env = { SERVER_PRIVATE_KEY, ...NO_QUOTA }
  const rows = await runRounds(
    [
      { name: 'large box', arrangement: 'ours', database: full, env },
      { name: 'small box', arrangement: 'ours', database: small, env },
    ],
    [SEND_TO_BOX, ...PAGES, ACKNOWLEDGE_IN_BOX],
    { ...setting, plan: { ...setting.plan, rounds: 2 } },
    GENERATIONS,
  )
  return (
    `With ${count.toLocaleString('en-US')} messages in the box, and with ${SMALL_BOX}:` +
    `\n\n${figures(rows)}\n\n${ratios(rows)}`
  )
}

const SEND_TO_BOX: Scenario = {
  name: 'send',
  connections: IDENTITIES,
  async prepare(_knex, sessions, count) {
    const recipient = ownerOf(sessions).wallet.identityKey
    return repeat(count, (index) => [
      sessions[index % sessions.length]!.sign('/sendMessage', {
        message: {
          recipient,
          messageBox: BOX,
          messageId: randomUUID(),
          body: encryptedBody(BODY_LENGTH),
        },
      }),
    ])
  },
  holds: isSuccess,
}

const PAGES: Scenario[] = [
  listing('list 100, first', () => undefined),
  listing('list 100, middle', (messages) => Math.floor(messages / 2)),
  listing('list 100, last', (messages) => messages - PAGE),
]

const ACKNOWLEDGE_IN_BOX: Scenario = {
  name: 'acknowledge',
  connections: IDENTITIES,
  async prepare(knex, sessions, count) {
    const owner = ownerOf(sessions)
    const { identityKey } = owner.wallet
    const recipients = repeat(count, () => identityKey)
    const ids = await fillEach(knex, recipients, BOX, BODY_LENGTH)
    return ids.map((id) => [owner.sign('/acknowledgeMessage', { messageIds: [id] })])
  },
  holds: isSuccess,
}

/** @param skipped how many messages of the box come before the page */
function listing(name: string, skipped: (messages: number) => number | undefined): Scenario {
  return {
    name,
    connections: IDENTITIES,
    async prepare(knex, sessions, count) {
      const owner = ownerOf(sessions)
      const after = await cursorAt(knex, owner.wallet.identityKey, skipped)
      return repeat(count, (): Operation => [
        owner.sign('/listMessages', { messageBox: BOX, limit: PAGE, ...after }),
      ])
    },
    holds: ({ messages }) => messages?.length === PAGE,
  }
}

async function cursorAt(
  knex: Knex,
  owner: string,
  skipped: (messages: number) => number | undefined,
): Promise<{ after?: string }> {
  const box = (): Knex.QueryBuilder => knex('messages').where({ recipient: owner })
  const [counted] = (await box().count({ messages: '*' })) as Array<{ messages: number }>
  const before = skipped(Number(counted!.messages))
  if (before === undefined) return {}
  const [last] = (await box()
    .select('id')
    .orderBy('id')
    .limit(1)
    .offset(before - 1)) as Array<{ id: number }>
  const serverKey = new NativeServerKey(new Secret(SERVER_PRIVATE_KEY))
  const cursors = new CursorSealer(await deriveSealingKey(serverKey, 'cursor'))
  return { after: cursors.seal(owner, Number(last!.id)) }
}

function ownerOf(sessions: Session[]): Session {
  return sessions[0]!
}
