import { expect, test } from '@jest/globals'
import { join } from 'node:path'
import { createKnex } from '../../src/db/engine/knex'
import { migrate } from '../../src/db/engine/migrate'
import { createDatabase, ENGINES } from '../../tools/databases/databases'
import { Child } from '../../tools/programs/processes'

const PROGRAM = [
  '-r',
  join(__dirname, '../../tools/programs/transpile.js'),
  join(__dirname, '../../tools/programs/migrateAndDie.ts'),
]

/** @returns whether the migration was killed before its end */
async function killAfter(statements: number, env: Record<string, string>): Promise<boolean> {
  const child = new Child(process.execPath, [...PROGRAM, String(statements)], {
    env: { ...process.env, NODE_ENV: 'test', ...env },
  })
  return (await child.ended()) === 'SIGKILL'
}

// The odd statements on one engine and the even ones on the other: each takes a process of its own.
test.each(ENGINES.map((engine, index) => [engine, index + 1] as const))(
  'a first migration that is killed behind a statement is finished by the next start, on %s',
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
