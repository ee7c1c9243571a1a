/** Removes messages that nobody has acknowledged, as their operator says: in steps, beside a server that works on. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Knex } from 'knex'
import type { Quotas } from '../../config'
import type { IdentityKey } from '../../contract/protocol'
import { bytes, QUERY_TIMEOUT_MS, text } from '../engine/dialect'
import { createRemoval, type MessageName } from '../messages'
import { createQuotaCounter, isCounted } from '../quotas'

/** How many messages one step looks at, and how many it removes, so that its locks are short; how long it pauses for others, in milliseconds. */
const LOOK = 1000
const STEP = 200
const PAUSE = 20

/** Which messages: all that is given has to hold. */
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

/** Told how many messages were looked at, or removed, by now. */
export type OnStep = (messages: number) => void

/** What a purge comes to. `lastId` is the newest message that it may touch: what arrives later stays. */
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
 * Removes what was planned and is still there, and counts it off where the database's servers count.
 * @returns how many messages are gone
 */
export async function purge(db: Knex, plan: PurgePlan, onStep: OnStep = () => {}): Promise<number> {
  // The table tells, not this process's own settings: quotas that the servers do not have must not begin to count here.
  const { usage } = await isCounted(db)
  const removal = createRemoval(db, createQuotaCounter(usage ? COUNTED : UNCOUNTED), () => false)
  let removed = 0
  for await (const due of walk(db, plan)) {
    for (let start = 0; start < due.length; start += STEP) {
      removed += await removal.remove(due.slice(start, start + STEP))
      onStep(removed)
      await pause(PAUSE)
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

/** The messages of a plan, step by step: box by box of a recipient, or through the whole table in order of arrival. */
async function* walk(
  db: Knex,
  { filter, lastId }: PurgePlan,
  onLook: OnStep = () => {},
): AsyncGenerator<Candidate[]> {
  for await (const box of boxesOf(db, filter)) {
    for (let behind = 0; ;) {
      const candidates = await select(db, box, behind, lastId, LOOK)
      onLook(candidates.length)
      yield candidates.filter((candidate) => isDue(candidate, filter))
      if (candidates.length < LOOK) break
      behind = candidates.at(-1)!.id
    }
  }
}

/** Where to look: within a box there is an index in order of arrival, within all boxes of a recipient there is none. */
async function* boxesOf(
  db: Knex,
  { recipient, messageBox }: PurgeFilter,
): AsyncGenerator<Record<string, unknown>> {
  if (recipient === undefined) return yield {}
  if (messageBox !== undefined) return yield { recipient, message_box: bytes(db, messageBox) }
  for (let behind: string | Buffer = bytes(db, ''); ;) {
    const row = await db('messages')
      .first('message_box')
      .where({ recipient })
      .where('message_box', '>', behind)
      .orderBy('message_box')
      .timeout(QUERY_TIMEOUT_MS)
    if (row === undefined) return
    behind = row.message_box as string | Buffer
    yield { recipient, message_box: behind }
  }
}

async function select(
  db: Knex,
  box: Record<string, unknown>,
  behind: number,
  lastId: number,
  limit: number,
): Promise<Candidate[]> {
  const rows = await db('messages')
    .select('id', 'recipient', 'message_box', 'message_id', 'body_bytes', 'created_at')
    .where(box)
    .where('id', '>', behind)
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
