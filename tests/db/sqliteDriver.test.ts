import { expect, test } from '@jest/globals'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { join } from 'node:path'

const run = promisify(execFile)

/** A process of its own, which Node 24.19 and later ended as soon as a statement of better-sqlite3 12 was collected. */
test('statements and databases that nobody needs any more are collected in peace', async () => {
  const work = `
    require(${JSON.stringify(join(__dirname, '../../tools/programs/transpile.js'))})
    const Database = require(${JSON.stringify(join(__dirname, '../../src/db/engine/sqliteDriver'))}).sqliteDriver()
    const churn = () => { for (let i = 0; i < 100; i++) { const db = new Database(':memory:'); db.prepare('select 1').get(); db.close() } }
    let rounds = 20
    const again = () => { churn(); gc(); if (--rounds > 0) setTimeout(again, 5); else console.log('collected') }
    again()`
  const { stdout } = await run(process.execPath, ['--expose-gc', '-e', work])
  expect(stdout).toContain('collected')
})
