/** The table of messages: everything outside this folder uses it through `MessageStore`. */
import type { Knex } from 'knex'
import { ApiError } from '../../contract/errors'
import type { IdentityKey } from '../../contract/protocol'
import { Probe } from '../engine/probe'
import { query } from '../engine/query'
import type { Schema } from '../engine/schema'
import { readPage, type StoredPage } from './page'
import type { Removal } from './remove'
import { findByIds, idKey, type PageRequest, type StoredMessage } from './sql'
import type { GroupCommit, InsertOptions, Stored } from './write'

export { createRemoval, type Removal } from './remove'
export { selectOldest, type MessageName, type StoredMessage } from './sql'
export { checkSize, GroupCommit, type Stored } from './write'

/** All errors are from the catalogue. */
export interface MessageStore {
  /**
   * Stores all messages or none; they are durable when it resolves. If a message was stored before,
   * its entry says `duplicate`.
   */
  insert: (messages: StoredMessage[], options?: InsertOptions) => Promise<Stored[]>
  /**
   * When each of these messages was stored, in milliseconds since 1970. Undefined if any of them is
   * not stored.
   */
  findAll: (messages: Array<Omit<StoredMessage, 'body'>>) => Promise<number[] | undefined>
  list: (recipient: IdentityKey, request: PageRequest) => Promise<StoredPage>
  /** @returns how many of these messages it has removed */
  remove: (recipient: IdentityKey, messageIds: string[]) => Promise<number>
  /** Resolves if the database takes writes and its schema is up to date. */
  ping: () => Promise<void>
}

export interface StoreParts {
  knex: Knex
  commits: GroupCommit
  removal: Removal
  schema: Schema
  /** How large the JSON of a page may be, unless a single message is larger. */
  maxPageBytes: number
}

/** How long /ready waits for a database whose schema is not up to date. */
const PING_TIMEOUT_MS = 2000
/** How long the answer to a ping is reused. */
const PING_CACHE_MS = 100

export function createMessageStore({
  knex,
  commits,
  removal,
  schema,
  maxPageBytes,
}: StoreParts): MessageStore {
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
      await operate('list', async () => await readPage(knex, recipient, request, maxPageBytes)),

    remove: async (recipient, messageIds) =>
      await operate(
        'remove',
        async () => await removal.remove(messageIds.map((messageId) => ({ recipient, messageId }))),
      ),

    async ping() {
      // Any client may ask at any rate, so one query answers all that ask at about the same time.
      ping ??= query('ping', async () => {
        await schema.check()
        if (schema.ready) await probe.run()
        else await knex.raw('select 1').timeout(PING_TIMEOUT_MS)
      }).finally(() => {
        setTimeout(() => {
          ping = undefined
        }, PING_CACHE_MS).unref()
      })
      await ping
      if (!schema.ready) throw new ApiError('ERR_SCHEMA_OUTDATED')
    },
  }
}
