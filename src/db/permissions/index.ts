/** The rules of permissions over Knex. A database that fails refuses, whoever asks: it never allows. */
import type { Knex } from 'knex'
import { ApiError } from '../../contract/errors'
import type { IdentityKey, ListPermissionsRequest } from '../../contract/protocol'
import type { Limit } from '../../config/parsers'
import { Lane, type Job } from '../engine/batchQueue'
import {
  countRules,
  findRule,
  findRules,
  listRules,
  setRule,
  type Asked,
  type Rule,
  type StoredRule,
} from './sql'
import { query } from '../engine/query'

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
  /** All rules that these are subject to; perhaps others as well. */
  about: (asked: Asked[]) => Promise<Rule[]>
}

interface Question extends Job {
  asked: Asked[]
}

/** @param maxRules how many rules one recipient may have; rules that are set at the same moment may exceed it by a few */
export function createRuleStore(knex: Knex, maxRules: Limit): RuleStore {
  // Sends that are in flight together are asked about together, by one query.
  const questions = new Lane<Question, Rule[]>(async (jobs) => {
    const rules = await findRules(
      knex,
      jobs.flatMap(({ asked }) => asked),
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
    about: async (asked) =>
      await query(
        'permissions',
        async () => await questions.run({ asked, rows: asked.length, bytes: 0, keys: [] }),
      ),
  }
}

/** A rule that is there already may always be changed. */
async function checkQuota(
  knex: Knex,
  { recipient, messageBox, sender }: Rule,
  maxRules: Limit,
): Promise<void> {
  if (maxRules === undefined || (await countRules(knex, recipient, maxRules)) < maxRules) return
  if ((await findRule(knex, recipient, messageBox, sender)) !== undefined) return
  throw new ApiError(
    'ERR_RULE_QUOTA_EXCEEDED',
    `An identity may have up to ${maxRules} rules: change one that you have.`,
    { limit: maxRules },
  )
}
