/** The message store over Knex, with the database's errors turned into the catalogue's. */
import type { Knex } from 'knex'
import { ApiError } from '../errors'
import type { IdentityKey, ListedMessage, ListRequest, MessagePage } from '../protocol'
import { codeOf, isTooLarge } from './faults'
import type { GroupCommit } from './groupCommit'
import type { Stored } from './insertion'
import { selectPage, text, type MessageRow, type StoredMessage } from './messages'
import { isMigrated } from './migrate'
import type { Removal } from './removal'

/** Where messages are kept; all times in milliseconds, all errors from the catalogue. */
export interface MessageStore {
  /** All or none, durable when it resolves. The same message again is no error: its entry says `duplicate`. */
  insert: (messages: StoredMessage[]) => Promise<Stored[]>
  list: (recipient: IdentityKey, request: ListRequest) => Promise<MessagePage>
  /** How many of these ids were the recipient's, and are gone now. */
  remove: (recipient: IdentityKey, messageIds: string[]) => Promise<number>
  /** Resolves where the database answers, and has the tables that this server needs. */
  ping: () => Promise<void>
}

export interface StoreParts {
  knex: Knex
  commits: GroupCommit
  removal: Removal
  /** About how many bytes of bodies one page holds. */
  maxPageBytes: number
}

/** How long /ready waits for the database, in milliseconds. */
const PING_TIMEOUT = 2000

export function createMessageStore ({ knex, commits, removal, maxPageBytes }: StoreParts): MessageStore {
  let migrated = false

  return {
    insert: async messages => await query('insert', async () => await commits.insert(messages)),

    list: async (recipient, request) => await query('list', async () => {
      const { rows, more } = await selectPage(knex, recipient, request, maxPageBytes)
      const { limit, offset } = request
      return { messages: rows.map(toListedMessage), limit, offset, hasMore: more, nextOffset: more ? offset + rows.length : null }
    }),

    remove: async (recipient, messageIds) => await query('remove', async () => await removal.remove(messageIds.map(messageId => ({ recipient, messageId })))),

    ping: async () => await query('ping', async () => {
      await knex.raw('select 1').timeout(PING_TIMEOUT)
      migrated ||= await isMigrated(knex)
      if (!migrated) throw new ApiError('ERR_SCHEMA_OUTDATED')
    })
  }
}

/** Runs a query; whatever the database reports that is no answer is a refusal whose fault is logged without its values. */
async function query<T> (operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof ApiError) throw error
    const fault = { what: 'the database failed', operation, fault: codeOf(error) }
    throw new ApiError(isTooLarge(error) ? 'ERR_BODY_TOO_LARGE' : 'ERR_UNAVAILABLE', undefined, {}, { fault })
  }
}

function toListedMessage ({ message_id: id, sender, body, created_at: created, updated_at: updated }: MessageRow): ListedMessage {
  const createdAt = new Date(created).toISOString()
  const updatedAt = created === updated ? createdAt : new Date(updated).toISOString()
  return { messageId: text(id), body, sender, created_at: createdAt, updated_at: updatedAt, createdAt, updatedAt }
}
