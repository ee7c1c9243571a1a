/** Removes messages for the operator: in steps, while the server keeps running. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Knex } from 'knex'
import type { Quotas } from '../../config'
import type { IdentityKey } from '../../contract/protocol'
import { bytes, QUERY_TIMEOUT_MS, text } from '../engine/dialect'
import { createRemoval, type MessageName } from '../messages'
import { createQuotaCounter, isCounted } from '../quotas'

/** How many messages one query reads. */
const READ_MESSAGES = 1000
/** How many messages one transaction removes. Live messages wait for it, on SQLite at least. */
const STEP_MESSAGES = 50
/** The time for other transactions between two steps. */
const STEP_PAUSE_MS = 20

/** The messages that match all given fields. */
export interface PurgeFilter {
  recipient?: IdentityKey
  messageBox?: string
  /** Stored before this time, in milliseconds since 1970. */
  before?: number
}

interface Candidate extends MessageName {
  id: number
  messageBox: string
  bytes: number
  createdAt: number
}

/** Called with the number of messages that were read or removed by now. */
export type OnStep = (messages: number) => void

/** What a purge will remove. It keeps messages that arrive after `lastId`. */
export interface PurgePlan {
  filter: PurgeFilter
  lastId: number
  messages: number
  /** Of bodies. */
  bytes: number
}

/** Counts what a purge would remove. */
export async function planPurge(
  db: Knex,
  filter: PurgeFilter,
  onStep: OnStep = () => {},
): Promise<PurgePlan> {
  const newest = await db('messages').first('id').orderBy('id', 'desc').timeout(QUERY_TIMEOUT_MS)
  const plan: PurgePlan = { filter, lastId: Number(newest?.id ?? 0), messages: 0, bytes: 0 }
  let looked = 0
  for await (const due of walk(db, plan, (seen) => {
    onStep((looked += seen))
  })) {
    plan.messages += due.length
    plan.bytes += due.reduce((sum, message) => sum + message.bytes, 0)
  }
  return plan
}

/**
 * Removes the planned messages that still exist, and updates the quotas' counts if there are any.
 * @returns how many messages it has removed
 */
export async function purge(db: Knex, plan: PurgePlan, onStep: OnStep = () => {}): Promise<number> {
  // Ask the table: the settings of this process may differ from those of the running servers.
  const { usage } = await isCounted(db)
  const removal = createRemoval(db, createQuotaCounter(usage ? COUNTED : UNCOUNTED), () => false)
  let removed = 0
  for await (const due of walk(db, plan)) {
    for (let start = 0; start < due.length; start += STEP_MESSAGES) {
      removed += await removal.remove(due.slice(start, start + STEP_MESSAGES))
      onStep(removed)
      await pause(STEP_PAUSE_MS)
    }
  }
  return removed
}

const COUNTED: Quotas = {
  inbox: { messages: Number.MAX_SAFE_INTEGER, bytes: undefined },
  sender: { messages: undefined, bytes: undefined },
}
const UNCOUNTED: Quotas = {
  inbox: { messages: undefined, bytes: undefined },
  sender: { messages: undefined, bytes: undefined },
}

/**
 * Yields the messages of a plan in steps: a recipient's box by box, or the whole table in order.
 */
async function* walk(
  db: Knex,
  { filter, lastId }: PurgePlan,
  onLook: OnStep = () => {},
): AsyncGenerator<Candidate[]> {
  for await (const box of boxesOf(db, filter)) {
    for (let after = 0; ;) {
      const candidates = await select(db, box, after, lastId, READ_MESSAGES)
      onLook(candidates.length)
      yield candidates.filter((candidate) => isDue(candidate, filter))
      if (candidates.length < READ_MESSAGES) break
      after = candidates.at(-1)!.id
    }
  }
}

/** The index has the order of arrival within a box, but not within all boxes of a recipient. */
async function* boxesOf(
  db: Knex,
  { recipient, messageBox }: PurgeFilter,
): AsyncGenerator<Record<string, unknown>> {
  if (recipient === undefined) return yield {}
  if (messageBox !== undefined) return yield { recipient, message_box: bytes(db, messageBox) }
  for (let after: string | Buffer = bytes(db, ''); ;) {
    const row = await db('messages')
      .first('message_box')
      .where({ recipient })
      .where('message_box', '>', after)
      .orderBy('message_box')
      .timeout(QUERY_TIMEOUT_MS)
    if (row === undefined) return
    after = row.message_box as string | Buffer
    yield { recipient, message_box: after }
  }
}

async function select(
  db: Knex,
  box: Record<string, unknown>,
  after: number,
  lastId: number,
  limit: number,
): Promise<Candidate[]> {
  const rows = await db('messages')
    .select('id', 'recipient', 'message_box', 'message_id', 'body_bytes', 'created_at')
    .where(box)
    .where('id', '>', after)
    .where('id', '<=', lastId)
    .orderBy('id')
    .limit(limit)
    .timeout(QUERY_TIMEOUT_MS)
  return rows.map((row) => ({
    id: Number(row.id),
    recipient: row.recipient,
    messageBox: text(row.message_box),
    messageId: text(row.message_id),
    bytes: Number(row.body_bytes),
    createdAt: Number(row.created_at),
  }))
}

function isDue({ messageBox, createdAt }: Candidate, filter: PurgeFilter): boolean {
  return (
    (filter.messageBox === undefined || filter.messageBox === messageBox) &&
    (filter.before === undefined || createdAt < filter.before)
  )
}
