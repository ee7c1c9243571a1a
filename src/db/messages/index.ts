/** The message store over Knex, with the database's errors turned into the catalogue's. */
import type { Knex } from 'knex'
import { ApiError } from '../../contract/errors'
import { isoTime } from '../../lib/isoTime'
import { JsonPage } from '../../lib/jsonPage'
import type { IdentityKey, ListedMessage, ListRequest, MessagePage } from '../../contract/protocol'
import { text } from '../engine/dialect'
import type { GroupCommit, InsertOptions } from './groupCommit'
import type { Stored } from './sendBatch'
import { mostListedBytes } from './listed'
import { findByIds, idKey, selectPage, type MessageRow, type StoredMessage } from './sql'
import { Probe } from '../engine/probe'
import { query } from '../engine/query'
import type { Removal } from './remove'
import type { Schema } from '../engine/schema'

export { checkSize } from './groupCommit'
export type { Stored } from './sendBatch'
export type { StoredMessage } from './sql'

/** Where messages are kept; all times in milliseconds, all errors from the catalogue. */
export interface MessageStore {
  /**
   * All or none, durable when it resolves. The same message again is no error: its entry says `duplicate`.
   */
  insert: (messages: StoredMessage[], options?: InsertOptions) => Promise<Stored[]>
  /** When each of these messages was stored, in milliseconds since 1970; undefined unless all of them are. */
  findAll: (messages: Array<Omit<StoredMessage, 'body'>>) => Promise<number[] | undefined>
  list: (recipient: IdentityKey, request: ListRequest) => Promise<MessagePage>
  /** How many of these ids were the recipient's, and are gone now. */
  remove: (recipient: IdentityKey, messageIds: string[]) => Promise<number>
  /** Resolves if the database takes writes, and has the tables that this server needs. */
  ping: () => Promise<void>
}

export interface StoreParts {
  knex: Knex
  commits: GroupCommit
  removal: Removal
  schema: Schema
  /** How many bytes the answer with one page has at most, unless a single message has more. */
  maxPageBytes: number
}

/** How long /ready waits for a database whose schema is not known yet, in milliseconds. */
const PING_TIMEOUT = 2000
/** For how long its answer holds, in milliseconds. */
const PING_LASTS = 100

export function createMessageStore({
  knex,
  commits,
  removal,
  schema,
  maxPageBytes,
}: StoreParts): MessageStore {
  /** Runs an operation, which no server may do on a schema that it does not know. */
  const operate = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    if (!schema.ready) throw new ApiError('ERR_SCHEMA_OUTDATED')
    return await query(name, work)
  }
  const probe = new Probe(knex)
  let ping: Promise<void> | undefined

  return {
    insert: async (messages, options) =>
      await operate('insert', async () => await commits.insert(messages, options)),

    findAll: async (messages) =>
      await operate('find', async () => {
        const found = new Map((await findByIds(knex, messages)).map((row) => [idKey(row), row]))
        const times = messages.map((message) => {
          const row = found.get(idKey(message))
          return row?.sender === message.sender && row.messageBox === message.messageBox
            ? row.createdAt
            : undefined
        })
        return times.every((time) => time !== undefined) ? times : undefined
      }),

    list: async (recipient, request) =>
      await operate('list', async () => {
        const { rows, more } = await selectPage(knex, recipient, request, maxPageBytes)
        const { limit, offset } = request
        const { messages, json } = fill(rows, maxPageBytes)
        const hasMore = more || messages.length < rows.length
        return {
          messages,
          json,
          limit,
          offset,
          hasMore,
          nextOffset: hasMore ? offset + messages.length : null,
        }
      }),

    remove: async (recipient, messageIds) =>
      await operate(
        'remove',
        async () => await removal.remove(messageIds.map((messageId) => ({ recipient, messageId }))),
      ),

    async ping() {
      // Anybody may ask, as often as they like: one question serves all who ask meanwhile, and a moment later.
      ping ??= query('ping', async () => {
        await schema.check()
        if (schema.ready) await probe.run()
        else await knex.raw('select 1').timeout(PING_TIMEOUT)
      }).finally(() => {
        setTimeout(() => {
          ping = undefined
        }, PING_LASTS).unref()
      })
      await ping
      if (!schema.ready) throw new ApiError('ERR_SCHEMA_OUTDATED')
    },
  }
}

/** As many messages as fit when they are encoded, but at least one. */
function fill(rows: MessageRow[], maxBytes: number): Pick<MessagePage, 'messages' | 'json'> {
  const messages = rows.map(toListedMessage)
  const most = messages.reduce(
    (sum, { messageId, body }) => sum + mostListedBytes(messageId, body),
    0,
  )
  if (most <= maxBytes) {
    const json = new JsonPage(maxBytes)
    json.add(JSON.stringify(messages).slice(1, -1))
    return { messages, json }
  }
  const json = new JsonPage(maxBytes, maxBytes)
  const beyond = messages.findIndex((message) => !json.add(JSON.stringify(message)))
  return { messages: beyond < 0 ? messages : messages.slice(0, beyond), json }
}

function toListedMessage({
  message_id: id,
  sender,
  body,
  created_at: created,
  updated_at: updated,
}: MessageRow): ListedMessage {
  const createdAt = isoTime(created)
  const updatedAt = created === updated ? createdAt : isoTime(updated)
  return {
    messageId: text(id),
    body,
    sender,
    created_at: createdAt,
    updated_at: updatedAt,
    createdAt,
    updatedAt,
  }
}
