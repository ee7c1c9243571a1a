/** The SQL of the table of permissions. */
import type { Knex } from 'knex'
import type { IdentityKey, ListPermissionsRequest } from '../../contract/protocol'
import { bytes, isMysql, QUERY_TIMEOUT_MS, text } from '../engine/dialect'
import { execute } from '../engine/transaction'

/** A recipient's rule for one of its boxes. If `sender` is null, it applies to every sender. */
export interface Rule {
  recipient: IdentityKey
  messageBox: string
  sender: IdentityKey | null
  recipientFee: number
}

/** A sender's request to write to a recipient's box. */
export interface WriteRequest {
  recipient: IdentityKey
  messageBox: string
  sender: IdentityKey
}

/** The table holds '' for "every sender". */
const EVERYONE = ''

/** Times are milliseconds since 1970. */
export interface StoredRule extends Rule {
  createdAt: number
  updatedAt: number
}

/** Inserts the rule for a recipient, box and sender, or changes its fee. */
export async function setRule(
  db: Knex,
  { recipient, messageBox, sender, recipientFee }: Rule,
  now: number,
): Promise<void> {
  await db('permissions')
    .insert({
      recipient,
      message_box: bytes(db, messageBox),
      sender: sender ?? EVERYONE,
      recipient_fee: recipientFee,
      created_at: now,
      updated_at: now,
    })
    .onConflict(['recipient', 'message_box', 'sender'])
    .merge(['recipient_fee', 'updated_at'])
    .timeout(QUERY_TIMEOUT_MS)
}

/** Counts a recipient's rules, but not further than `max`. */
export async function countRules(db: Knex, recipient: IdentityKey, max: number): Promise<number> {
  const some = db('permissions').select('recipient').where({ recipient }).limit(max).as('some')
  const [counted] = await db.from(some).count({ count: '*' }).timeout(QUERY_TIMEOUT_MS)
  return Number(counted!.count)
}

/** The rules for the senders of these requests, and those for every sender. */
export async function findRules(db: Knex, requests: WriteRequest[]): Promise<StoredRule[]> {
  if (requests.length === 0) return []
  const keys = requests.flatMap(({ recipient, messageBox, sender }) =>
    [EVERYONE, sender].flatMap((value) => [recipient, bytes(db, messageBox), value]),
  )
  const names = Array.from({ length: 2 * requests.length }, () => '(?, ?, ?)').join(', ')
  const values = isMysql(db) ? names : `values ${names}`
  const rows = await execute(db, {
    sql:
      `select ${COLUMNS.join(', ')} from permissions` +
      ` where (recipient, message_box, sender) in (${values})`,
    bindings: keys,
  })
  return (rows as unknown as Row[]).map(toRule)
}

export async function findRule(
  db: Knex,
  recipient: IdentityKey,
  messageBox: string,
  sender: IdentityKey | null,
): Promise<StoredRule | undefined> {
  const row = await select(db)
    .where({ recipient, message_box: bytes(db, messageBox), sender: sender ?? EVERYONE })
    .first()
  return row === undefined ? undefined : toRule(row)
}

/** A recipient's rules by box; in each box the rule for every sender comes first. */
export async function listRules(
  db: Knex,
  recipient: IdentityKey,
  { messageBox, limit, offset }: ListPermissionsRequest,
): Promise<{ rules: StoredRule[]; totalCount: number }> {
  const wanted = {
    recipient,
    ...(messageBox !== undefined && { message_box: bytes(db, messageBox) }),
  }
  const [rows, [counted]] = await Promise.all([
    select(db)
      .where(wanted)
      .orderBy(['message_box', 'sender', 'created_at'])
      .limit(limit)
      .offset(offset),
    db('permissions').where(wanted).count({ count: '*' }).timeout(QUERY_TIMEOUT_MS),
  ])
  return { rules: rows.map(toRule), totalCount: Number(counted!.count) }
}

const COLUMNS = [
  'recipient',
  'message_box',
  'sender',
  'recipient_fee',
  'created_at',
  'updated_at',
] as const

interface Row {
  recipient: string
  message_box: string | Buffer
  sender: string
  recipient_fee: number
  created_at: number
  updated_at: number
}

function select(db: Knex): Knex.QueryBuilder<Row> {
  return db<Row>('permissions')
    .select(...COLUMNS)
    .timeout(QUERY_TIMEOUT_MS)
}

function toRule(row: Row): StoredRule {
  return {
    recipient: row.recipient,
    messageBox: text(row.message_box),
    sender: row.sender === EVERYONE ? null : row.sender,
    recipientFee: Number(row.recipient_fee),
    createdAt: Number(row.created_at),
    updatedAt: Number(row.updated_at),
  }
}
