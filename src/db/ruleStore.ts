/** The rules of permissions over Knex. A database that fails refuses, whoever asks: it never allows. */
import type { Knex } from 'knex'
import type { Asked, Rule } from '../policy'
import type { IdentityKey, ListPermissionsRequest } from '../protocol'
import { Lane, type Job } from './lane'
import { findRule, findRules, listRules, setRule, type StoredRule } from './permissions'
import { query } from './query'

/** All errors are from the catalogue. */
export interface RuleStore {
  set: (rule: Rule) => Promise<void>
  get: (recipient: IdentityKey, messageBox: string, sender: IdentityKey | null) => Promise<StoredRule | undefined>
  list: (recipient: IdentityKey, page: ListPermissionsRequest) => Promise<{ rules: StoredRule[], totalCount: number }>
  /** All rules that these are subject to; perhaps others as well. */
  about: (asked: Asked[]) => Promise<Rule[]>
}

interface Question extends Job {
  asked: Asked[]
}

export function createRuleStore (knex: Knex): RuleStore {
  // Sends that are in flight together are asked about together, by one query.
  const questions = new Lane<Question, Rule[]>(async jobs => {
    const rules = await findRules(knex, jobs.flatMap(({ asked }) => asked))
    return { answers: jobs.map(() => rules), rows: 0 }
  })
  return {
    set: async rule => { await query('set permission', async () => { await setRule(knex, rule, Date.now()) }) },
    get: async (...key) => await query('get permission', async () => await findRule(knex, ...key)),
    list: async (recipient, page) => await query('list permissions', async () => await listRules(knex, recipient, page)),
    about: async asked => await query('permissions', async () => await questions.run({ asked, rows: asked.length, bytes: 0, keys: [] }))
  }
}
