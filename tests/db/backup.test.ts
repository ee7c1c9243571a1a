import { expect, test } from '@jest/globals'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sqliteDriver } from '../../src/db/engine/sqliteDriver'
import { newClient } from '../../tools/clients/clients'
import { startServer } from '../../tools/servers/server'

const SCRIPT = join(__dirname, '../../scripts/run.js')
const run = promisify(execFile)

test('a backup made while the server runs contains its messages', async () => {
  const { host, database } = await startServer()
  const { client, identityKey } = await newClient(host)
  await client.sendMessage({ recipient: identityKey, messageBox: 'inbox', body: 'kept' }, host)
  const target = `${String(database.config.connection.filename)}.backup`
  const env = { ...process.env, NODE_ENV: 'test', ...database.env }

  const { stdout } = await run(process.execPath, [SCRIPT, 'src/cli/backup', target], { env })

  expect(stdout).toContain('1 messages')
  const copy = new (sqliteDriver())(target, { readonly: true })
  expect(copy.prepare('select sender from messages').all()).toEqual([{ sender: identityKey }])
  copy.close()
})

test('a backup of a missing database fails', async () => {
  const env = {
    ...process.env,
    NODE_ENV: 'test',
    KNEX_DB_CLIENT: 'better-sqlite3',
    KNEX_DB_CONNECTION: '{"filename":"nowhere/messagebox.sqlite"}',
  }
  await expect(
    run(process.execPath, [SCRIPT, 'src/cli/backup', 'unused'], { env }),
  ).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('There is no database at') })
})

test('a backup does not overwrite the database itself', async () => {
  const { database } = await startServer()
  const env = { ...process.env, NODE_ENV: 'test', ...database.env }

  await expect(
    run(process.execPath, [SCRIPT, 'src/cli/backup', String(database.config.connection.filename)], {
      env,
    }),
  ).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('a file of its own') })
})
