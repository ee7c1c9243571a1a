import { createKnex } from '../../db/engine/knex'
import { migrate as bringUpToDate, settleUsage } from '../../db/engine/migrate'
import { describeDatabase } from '../wording'
import { readConfig } from '../environment'
import type { Progress } from '../terminal'
import type { Outcome } from './command'

/** Brings the configured database's schema up to date, as a start of the server does. */
export async function migrate(progress: Progress): Promise<Outcome> {
  const { db, mailbox } = readConfig()
  const knex = createKnex(db)
  try {
    progress.show('waiting until no other node migrates')
    const [, names] = await bringUpToDate(knex, db, (name, number, count) => {
      progress.done()
      progress.show(`${name}, ${number} of ${count}`)
    })
    progress.done()
    progress.show('checking the counts of the quotas')
    const counted = await settleUsage(knex, db, mailbox.quotas)
    const database = describeDatabase(db)
    const result =
      names.length === 0 ? 'is up to date' : `was brought up to date (${names.join(', ')})`
    return {
      json: { database, migrations: names, counted },
      text: `${database}: the schema ${result}`,
    }
  } finally {
    progress.done()
    await knex.destroy()
  }
}
