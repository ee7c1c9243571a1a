import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { onMysql } from '../databases/databases'
import { unseen } from '../contract/seen'

/** Jest's settings that can exclude tests. */
interface Run {
  testPathPatterns: { isSet: () => boolean }
  testNamePattern?: string
  onlyChanged: boolean
  onlyFailures: boolean
  shard?: object
}

/** Drops this run's databases. @throws Error if the whole suite did not cover the API's document */
export default async function globalTeardown(run?: Run): Promise<void> {
  await dropDatabases()
  const folder = process.env.TEST_SEEN_FOLDER!
  const seen = readdirSync(folder).flatMap((name) =>
    readFileSync(join(folder, name), 'utf8').split('\n'),
  )
  rmSync(folder, { recursive: true })
  const whole =
    run !== undefined &&
    !run.testPathPatterns.isSet() &&
    run.testNamePattern === undefined &&
    !run.onlyChanged &&
    !run.onlyFailures &&
    run.shard === undefined &&
    process.env.TEST_ENGINES === undefined
  const left = whole ? unseen(seen) : []
  if (left.length > 0)
    throw new Error(
      `No test received these answers, which routes declare. Write a test that does, or remove ` +
        `them from the route's "errors":\n${left.join('\n')}`,
    )
}

async function dropDatabases(): Promise<void> {
  const prefix = process.env.TEST_MYSQL_PREFIX
  if (prefix === undefined) return
  await onMysql(async (connection) => {
    const [rows] = await connection.query(
      'select schema_name as name from information_schema.schemata where left(schema_name, ?) = ?',
      [prefix.length + 1, `${prefix}_`],
    )
    for (const { name } of rows as Array<{ name: string }>)
      await connection.query(`drop database \`${name}\``)
  })
}
