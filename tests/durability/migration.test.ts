import { expect, test } from '@jest/globals'
import { join } from 'node:path'
import { createKnex } from '../../src/db/engine/knex'
import { migrate } from '../../src/db/engine/migrate'
import { createDatabase, ENGINES } from '../../tools/databases/databases'
import { Child } from '../../tools/programs/processes'

const PROGRAM = [
  '-r',
  join(__dirname, '../../scripts/transpile.js'),
  join(__dirname, '../../tools/programs/migrateAndDie.ts'),
]

/** @returns whether the migration was killed before its end */
async function killAfter(statements: number, env: Record<string, string>): Promise<boolean> {
  const child = new Child(process.execPath, [...PROGRAM, String(statements)], {
    env: { ...process.env, NODE_ENV: 'test', ...env },
  })
  return (await child.ended()) === 'SIGKILL'
}

// Odd statements on one engine, even ones on the other, since each needs a process of its own.
test.each(ENGINES.map((engine, index) => [engine, index + 1] as const))(
  'the next start finishes a first migration that was killed after any statement, on %s',
  async (engine, first) => {
    const stuck: string[] = []
    for (let statements = first, killed = true; killed; statements += 2) {
      const database = await createDatabase(engine)
      killed = await killAfter(statements, database.env)
      const knex = createKnex(database.config)
      await migrate(knex, database.config).catch((error) => {
        stuck.push(`${statements}: ${String(error).slice(-90)}`)
      })
      await knex.destroy()
      await database.drop()
    }

    expect(stuck).toEqual([])
  },
)
