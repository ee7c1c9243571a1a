import { onMysql } from './databases'

/** Drops the databases that this run left behind. */
export default async function globalTeardown (): Promise<void> {
  const prefix = process.env.TEST_MYSQL_PREFIX
  if (prefix === undefined) return
  await onMysql(async connection => {
    const [rows] = await connection.query('select schema_name as name from information_schema.schemata where left(schema_name, ?) = ?', [prefix.length + 1, `${prefix}_`])
    for (const { name } of rows as Array<{ name: string }>) await connection.query(`drop database \`${name}\``)
  })
}
