/**
 * A failed start prints one sentence that says what is wrong and what to do, without a stack trace.
 */
import { describe, expect, test } from '@jest/globals'
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { createKnex } from '../../src/db/engine/knex'
import { createDatabase, ENGINES } from '../../tools/databases/databases'
import { freePort } from '../../tools/programs/freePort'
import { eventually, ServerProcess } from '../../tools/programs/processes'
import { onEnd } from '../../tools/servers/server'

const MAIN = join(__dirname, '../../src/main.ts')
const FROM_SOURCE = ['-r', join(__dirname, '../../scripts/transpile.js')]

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'messagebox-start-'))
  onEnd(() => {
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

/** Starts a server that must fail, and returns its output. */
async function fail(
  env: Record<string, string>,
  { cwd = newFolder(), args = [] as string[] } = {},
): Promise<string> {
  const child = spawn(process.execPath, [...args, ...FROM_SOURCE, MAIN], {
    cwd,
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      PORT: '0',
      SERVER_PRIVATE_KEY: '1'.repeat(64),
      ...env,
    },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += String(chunk)
    })
  const code = await new Promise((resolve) => {
    child.on('close', resolve)
  })
  expect(code).toBe(1)
  expect(output).not.toMatch(/\n {4}at /)
  return output
}

describe('a start fails with one sentence', () => {
  test('if the database offers no TLS or no socket, or does not accept an option', async () => {
    const {
      config: { connection },
      drop,
    } = await createDatabase('mysql')
    onEnd(drop)
    const env = (more: object): Record<string, string> => ({
      KNEX_DB_CLIENT: 'mysql2',
      KNEX_DB_CONNECTION: JSON.stringify({ ...connection, ...more }),
    })
    expect(await fail(env({ ssl: true }))).toMatch(/offers no TLS/)
    expect(await fail(env({ socketPath: '/tmp/there is nothing' }))).toMatch(
      /Nothing listens at the socket/,
    )
    expect(await fail(env({ flags: 'x', queryFormat: 'y' }))).toMatch(
      /does not accept: flags, queryFormat/,
    )
  })

  test.each(ENGINES)(
    'if the schema on %s is newer or belongs to another program',
    async (engine) => {
      const database = await createDatabase(engine)
      onEnd(database.drop)
      const server = await ServerProcess.start({ env: database.env })
      await server.kill('SIGTERM')
      const knex = createKnex(database.config)
      onEnd(async () => {
        await knex.destroy()
      })
      await knex('knex_migrations').insert({
        name: '0099-of-tomorrow',
        batch: 9,
        migration_time: new Date(),
      })
      expect(await fail(database.env)).toMatch(
        /newer version of this server: this one does not know 0099-of-tomorrow/,
      )
      await knex('knex_migrations')
        .where({ batch: 9 })
        .update({ name: '2022-10-28-001_initial.ts' })
      expect(await fail(database.env)).toMatch(/belongs to another program/)
    },
  )

  test('if a file is in the place of the data folder', async () => {
    const cwd = newFolder()
    writeFileSync(join(cwd, 'data'), '')
    expect(await fail({ KNEX_DB_CLIENT: 'better-sqlite3' }, { cwd })).toMatch(
      /A file has the name that the folder/,
    )
  })

  test('if .env is in UTF-16', async () => {
    const cwd = newFolder()
    writeFileSync(join(cwd, '.env'), Buffer.from('\ufeffPORT=1234\n', 'utf16le'))
    expect(await fail({ KNEX_DB_CLIENT: 'better-sqlite3' }, { cwd })).toMatch(
      /\.env is not in UTF-8/,
    )
  })

  test.each([
    MAIN,
    ...['ensure-env', 'run', 'start'].map((name) => join(__dirname, `../../scripts/${name}.js`)),
  ])('if Node is too old: %s', async (program) => {
    const cwd = newFolder()
    writeFileSync(
      join(cwd, 'old.js'),
      'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "18.20.8" } }); Object.defineProperty(process, "version", { value: "v18.20.8" })',
    )
    const child = spawn(
      process.execPath,
      ['-r', join(cwd, 'old.js'), ...(program === MAIN ? FROM_SOURCE : []), program],
      { cwd },
    )
    let output = ''
    child.stderr.on('data', (chunk) => {
      output += String(chunk)
    })
    expect(
      await new Promise((resolve) => {
        child.on('close', resolve)
      }),
    ).toBe(1)
    expect(output.trim()).toMatch(
      /^messagebox-server needs Node 20 or later, and this is v18\.20\.8: .*"npm ci" again\.$/,
    )
  })

  test('if the database driver was installed for another version of Node', async () => {
    const cwd = newFolder()
    writeFileSync(
      join(cwd, 'other.js'),
      `
      const Module = require('node:module')
      const load = Module._load
      Module._load = function (name, ...rest) {
        if (!/^better-sqlite3/.test(name)) return load.call(this, name, ...rest)
        return function () { throw Object.assign(new Error('was compiled against a different Node.js version'), { code: 'ERR_DLOPEN_FAILED' }) }
      }`,
    )
    expect(
      await fail(
        { KNEX_DB_CLIENT: 'better-sqlite3' },
        { cwd, args: ['-r', join(cwd, 'other.js')] },
      ),
    ).toMatch(/is not built for this version of Node, v\d+.*"npm ci" again/)
  })
})

test.each(['production', 'development'])(
  'the server runs even if it cannot write its log, in %s',
  async (env) => {
    const database = await createDatabase('sqlite')
    onEnd(database.drop)
    const port = await freePort()
    const full = openSync('/dev/full', 'w')
    const child = spawn(process.execPath, [...FROM_SOURCE, MAIN], {
      cwd: newFolder(),
      stdio: ['ignore', full, full],
      env: {
        PATH: process.env.PATH,
        NODE_ENV: env,
        PORT: String(port),
        SERVER_PRIVATE_KEY: '1'.repeat(64),
        ...database.env,
      },
    })
    onEnd(() => {
      child.kill('SIGKILL')
    })
    const ended = new Promise((resolve) => {
      child.on('close', resolve)
    })
    const health = async (): Promise<number | undefined> =>
      await fetch(`http://127.0.0.1:${port}/health`).then(
        ({ status }) => status,
        () => undefined,
      )
    expect(await eventually(health, () => 'the server does not answer')).toBe(200)
    for (let asked = 0; asked < 50; asked++) expect(await health()).toBe(200)
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
  },
)

test('SIGHUP stops the server gracefully', async () => {
  const database = await createDatabase('sqlite')
  onEnd(database.drop)
  const server = await ServerProcess.start({ env: database.env })
  // The port answers before the process listens for signals.
  await eventually(
    () => server.output.includes('"listening"') || undefined,
    () => 'the server does not say that it listens',
  )
  server.signal('SIGHUP')
  expect(await server.ended()).toBe(0)
  expect(server.output).toMatch(/"msg":"stopped"/)
})
