import { expect, test } from '@jest/globals'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { join } from 'node:path'

const run = promisify(execFile)

/** In a child process: Node 24.19 and later crash when collecting better-sqlite3 12 statements. */
test('the garbage collector can free statements and databases', async () => {
  const work = `
    require(${JSON.stringify(join(__dirname, '../../scripts/transpile.js'))})
    const Database = require(${JSON.stringify(join(__dirname, '../../src/db/engine/sqliteDriver'))}).sqliteDriver()
    const churn = () => { for (let i = 0; i < 100; i++) { const db = new Database(':memory:'); db.prepare('select 1').get(); db.close() } }
    let rounds = 20
    const again = () => { churn(); gc(); if (--rounds > 0) setTimeout(again, 5); else console.log('collected') }
    again()`
  const { stdout } = await run(process.execPath, ['--expose-gc', '-e', work])
  expect(stdout).toContain('collected')
})
