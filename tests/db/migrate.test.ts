import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { transformFile } from '@swc/core'
import { execFile } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Knex } from 'knex'
import { createKnex } from '../../src/db/engine/knex'
import { migrate } from '../../src/db/engine/migrate'
import { createDatabase, ENGINES, type TestDatabase } from '../../tools/databases/databases'

const ROOT = join(__dirname, '../..')
const NAMES = [
  '0001-messages',
  '0002-quota-usage',
  '0003-permissions',
  '0004-payments',
  '0005-devices',
  '0006-advertisements',
  '0007-schema-lease',
]
const run = promisify(execFile)

let compiled: string

/** The server compiled to JavaScript in a folder of its own, as it is deployed. */
beforeAll(async () => {
  compiled = mkdtempSync(join(tmpdir(), 'messagebox-compiled-'))
  copyFileSync(join(ROOT, 'package.json'), join(compiled, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(compiled, 'node_modules'))
  for (const source of ['src', 'migrations'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true }).map((file) => join(folder, String(file))),
  )) {
    if (!source.endsWith('.ts')) continue
    const { code } = await transformFile(join(ROOT, source), {
      swcrc: false,
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
      module: { type: 'commonjs' },
    })
    const target = join(compiled, source.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, code)
  }
})

afterAll(() => {
  rmSync(compiled, { recursive: true, force: true })
})

describe.each(ENGINES)('migrations on %s', (engine) => {
  const databases: TestDatabase[] = []
  const pools: Knex[] = []

  afterEach(async () => {
    for (const pool of pools.splice(0)) await pool.destroy()
    for (const database of databases.splice(0)) await database.drop()
  })

  const newDatabase = async (): Promise<TestDatabase> => {
    const database = await createDatabase(engine)
    databases.push(database)
    return database
  }
  const open = ({ config }: TestDatabase): Knex => {
    const pool = createKnex(config)
    pools.push(pool)
    return pool
  }
  /** Runs the migrate command in a process of its own, from TypeScript or compiled. */
  const command = async ({ env }: TestDatabase, language: 'ts' | 'js'): Promise<string> => {
    const script =
      language === 'ts'
        ? [join(ROOT, 'scripts/run.js'), 'src/cli/admin', 'migrate']
        : [join(compiled, 'src/cli/admin.js'), 'migrate']
    return (
      await run(process.execPath, script, {
        env: { PATH: process.env.PATH, NODE_ENV: 'test', ...env },
      })
    ).stdout.trim()
  }
  const applied = async (knex: Knex): Promise<string[]> =>
    (await knex('knex_migrations').select('name')).map((row) => row.name)

  test('if three nodes of one process start on an empty database, one migrates', async () => {
    const database = await newDatabase()
    const nodes = [open(database), open(database), open(database)]

    const results = await Promise.all(
      nodes.map(async (knex) => await migrate(knex, database.config)),
    )

    expect(results.map(([, names]) => names).sort((a, b) => b.length - a.length)).toEqual([
      NAMES,
      [],
      [],
    ])
    expect(await applied(nodes[0]!)).toEqual(NAMES)
    expect(await nodes[1]!('messages').select()).toEqual([])
  })

  test('four processes can start at once on an empty database', async () => {
    const database = await newDatabase()

    const outputs = await Promise.all(
      Array.from({ length: 4 }, async () => await command(database, 'js')),
    )

    expect(outputs.map((output) => output.split(': the schema ')[1]).sort()).toEqual([
      ...Array.from({ length: 3 }, () => 'is up to date'),
      `was brought up to date (${NAMES.join(', ')})`,
    ])
    expect(await applied(open(database))).toEqual(NAMES)
  })

  test('a migration run from TypeScript also counts for the compiled server', async () => {
    const database = await newDatabase()

    expect(await command(database, 'ts')).toContain(`brought up to date (${NAMES.join(', ')})`)
    expect(await command(database, 'js')).toContain('the schema is up to date')

    expect(await applied(open(database))).toEqual(NAMES)
  })

  test('a migration completes after an earlier run was killed', async () => {
    const database = await newDatabase()
    const knex = open(database)
    await migrate(knex, database.config)
    // As if the first run was killed: the lock is held and no migration is recorded. On MySQL the
    // tables exist, since MySQL does not roll back DDL.
    await knex('knex_migrations_lock').update({ is_locked: 1 })
    await knex('knex_migrations').delete()
    if (engine === 'sqlite')
      for (const table of [
        'messages',
        'quota_usage',
        'permissions',
        'payments',
        'payment_outpoints',
        'devices',
        'advertisements',
      ])
        await knex.schema.dropTable(table)

    expect(await migrate(open(database), database.config)).toEqual([1, NAMES])
    expect(await migrate(knex, database.config)).toMatchObject([expect.any(Number), []])
    expect(await knex('knex_migrations_lock').select('is_locked')).toEqual([{ is_locked: 0 }])
  })

  test('a migration rejects a table of another program and leaves no lock', async () => {
    const database = await newDatabase()
    const knex = open(database)
    await knex.schema.createTable('messages', (table) => {
      table.integer('other')
    })

    await expect(migrate(knex, database.config)).rejects.toMatchObject({
      message: expect.stringContaining('another program'),
    })
    await knex.schema.dropTable('messages')

    expect(await migrate(open(database), database.config)).toEqual([1, NAMES])
  })
})
