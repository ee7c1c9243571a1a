/** The rules that recipients set for their boxes. If the database fails, every method rejects. */
import type { Knex } from 'knex'
import { ApiError } from '../../contract/errors'
import type { IdentityKey, ListPermissionsRequest } from '../../contract/protocol'
import type { Limit } from '../../config/parsers'
import { BatchQueue, type Job } from '../engine/batchQueue'
import { query } from '../engine/query'
import {
  countRules,
  findRule,
  findRules,
  listRules,
  setRule,
  type Rule,
  type StoredRule,
  type WriteRequest,
} from './sql'

export type { Rule, WriteRequest } from './sql'

/** All errors are from the catalogue. */
export interface RuleStore {
  set: (rule: Rule) => Promise<void>
  get: (
    recipient: IdentityKey,
    messageBox: string,
    sender: IdentityKey | null,
  ) => Promise<StoredRule | undefined>
  list: (
    recipient: IdentityKey,
    page: ListPermissionsRequest,
  ) => Promise<{ rules: StoredRule[]; totalCount: number }>
  /** All rules that apply to these requests; the result may contain other rules as well. */
  about: (requests: WriteRequest[]) => Promise<Rule[]>
}

interface Lookup extends Job {
  requests: WriteRequest[]
}

/**
 * @param maxRules how many rules one recipient may have. Concurrent requests may exceed it
 *   slightly.
 */
export function createRuleStore(knex: Knex, maxRules: Limit): RuleStore {
  // One query serves all sends that are in flight together.
  const lookups = new BatchQueue<Lookup, Rule[]>(async (jobs) => {
    const rules = await findRules(
      knex,
      jobs.flatMap(({ requests }) => requests),
    )
    return { answers: jobs.map(() => rules), rows: 0 }
  })
  return {
    set: async (rule) => {
      await query('set permission', async () => {
        await checkQuota(knex, rule, maxRules)
        await setRule(knex, rule, Date.now())
      })
    },
    get: async (...key) => await query('get permission', async () => await findRule(knex, ...key)),
    list: async (recipient, page) =>
      await query('list permissions', async () => await listRules(knex, recipient, page)),
    about: async (requests) =>
      await query(
        'permissions',
        async () => await lookups.run({ requests, rows: requests.length, bytes: 0, keys: [] }),
      ),
  }
}

/** An existing rule may always be changed. */
async function checkQuota(
  knex: Knex,
  { recipient, messageBox, sender }: Rule,
  maxRules: Limit,
): Promise<void> {
  if (maxRules === undefined || (await countRules(knex, recipient, maxRules)) < maxRules) return
  if ((await findRule(knex, recipient, messageBox, sender)) !== undefined) return
  throw new ApiError(
    'ERR_RULE_QUOTA_EXCEEDED',
    `An identity may have up to ${maxRules} rules: change an existing rule.`,
    { limit: maxRules },
  )
}
