/** The SQL of the table of permissions. */
import type { Knex } from 'knex'
import type { IdentityKey, ListPermissionsRequest } from '../../contract/protocol'
import { bytes, QUERY_TIMEOUT, text } from '../engine/dialect'

/** A rule of a recipient's for one of its boxes: about one sender, or about everyone. */
export interface Rule {
  recipient: IdentityKey
  messageBox: string
  sender: IdentityKey | null
  recipientFee: number
}

/** Who asks to write into which box of whom. */
export interface Asked {
  recipient: IdentityKey
  messageBox: string
  sender: IdentityKey
}

/** As the table has it: everyone is ''. */
const EVERYONE = ''

/** A rule with the times of its making and of its last change, in milliseconds since 1970. */
export interface StoredRule extends Rule {
  createdAt: number
  updatedAt: number
}

/** Sets a rule: there is one for each recipient, box and sender, however often and wherever it is set. */
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
    .timeout(QUERY_TIMEOUT)
}

/** How many rules a recipient has, counted up to `most`. */
export async function countRules(db: Knex, recipient: IdentityKey, most: number): Promise<number> {
  const some = db('permissions').select('recipient').where({ recipient }).limit(most).as('some')
  const [counted] = await db.from(some).count({ count: '*' }).timeout(QUERY_TIMEOUT)
  return Number(counted!.count)
}

/** The rules about these senders and about everyone. */
export async function findRules(db: Knex, asked: Asked[]): Promise<StoredRule[]> {
  if (asked.length === 0) return []
  const keys = asked.flatMap(({ recipient, messageBox, sender }) =>
    [EVERYONE, sender].map((whom) => [recipient, bytes(db, messageBox), whom]),
  )
  return (
    await select(db)
      .whereIn(['recipient', 'message_box', 'sender'], keys as never)
      .limit(keys.length)
  ).map(toRule)
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

/** A recipient's rules, by box; everyone's rule comes before those of senders. */
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
    db('permissions').where(wanted).count({ count: '*' }).timeout(QUERY_TIMEOUT),
  ])
  return { rules: rows.map(toRule), totalCount: Number(counted!.count) }
}

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
    .select('recipient', 'message_box', 'sender', 'recipient_fee', 'created_at', 'updated_at')
    .timeout(QUERY_TIMEOUT)
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
