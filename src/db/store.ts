/** The message store over Knex, with the database's errors turned into the catalogue's. */
import type { Knex } from 'knex'
import type { Logger } from 'pino'
import { ApiError } from '../errors'
import type { IdentityKey, ListedMessage, ListRequest, MessagePage } from '../protocol'
import { codeOf, isDeadlock, isTooLarge } from './faults'
import { GroupCommit, type Stored } from './groupCommit'
import { deleteMessages, selectPage, text, type MessageRow, type StoredMessage } from './messages'

/** Where messages are kept; all times in milliseconds, all errors from the catalogue. */
export interface MessageStore {
  /** All or none, durable when it resolves. The same message again is no error: its entry says `duplicate`. */
  insert: (messages: StoredMessage[]) => Promise<Stored[]>
  list: (recipient: IdentityKey, request: ListRequest) => Promise<MessagePage>
  /** How many of these ids were the recipient's, and are gone now. */
  remove: (recipient: IdentityKey, messageIds: string[]) => Promise<number>
  /** Resolves where the database answers. */
  ping: () => Promise<void>
}

/** How long /ready waits for the database, in milliseconds. */
const PING_TIMEOUT = 2000

export function createMessageStore ({ knex, logger, maxPageBytes }: { knex: Knex, logger: Logger, maxPageBytes: number }): MessageStore {
  const commits = new GroupCommit(knex)

  /** Runs a query; whatever the database reports that is no answer is 503, logged without its values. */
  async function query<T> (name: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof ApiError) throw error
      logger.error({ operation: name, fault: codeOf(error) }, 'the database failed')
      throw isTooLarge(error) ? new ApiError('ERR_BODY_TOO_LARGE') : new ApiError('ERR_UNAVAILABLE')
    }
  }

  return {
    insert: async messages => await query('insert', async () => await commits.insert(messages)),

    list: async (recipient, request) => await query('list', async () => {
      const { rows, more } = await selectPage(knex, recipient, request, maxPageBytes)
      const { limit, offset } = request
      return { messages: rows.map(toListedMessage), limit, offset, hasMore: more, nextOffset: more ? offset + rows.length : null }
    }),

    remove: async (recipient, messageIds) => await query('remove', async () => {
      const remove = async (): Promise<number> => await deleteMessages(knex, recipient, messageIds)
      return await remove().catch(async error => isDeadlock(error) ? await remove() : await Promise.reject(error))
    }),

    ping: async () => await query('ping', async () => {
      await knex.raw('select 1').timeout(PING_TIMEOUT)
    })
  }
}

function toListedMessage ({ message_id: id, sender, body, created_at: created, updated_at: updated }: MessageRow): ListedMessage {
  const createdAt = new Date(created).toISOString()
  const updatedAt = created === updated ? createdAt : new Date(updated).toISOString()
  return { messageId: text(id), body, sender, created_at: createdAt, updated_at: updatedAt, createdAt, updatedAt }
}
