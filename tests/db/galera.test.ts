/** The errors of a cluster for transactions that conflict on two nodes. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Knex } from 'knex'
import { isConflict } from '../../src/db/engine/faults'
import { createKnex } from '../../src/db/engine/knex'
import { migrate, readSchemaState } from '../../src/db/engine/migrate'
import { transact } from '../../src/db/engine/transaction'
import { until } from '../../tools/clients/live'
import { canRunGalera, PrivateGalera } from '../../tools/databases/galera'

/** @returns false if the transaction conflicts with another */
async function store(node: Knex, id: string): Promise<boolean> {
  try {
    await transact(node, async ({ commit }) => {
      await commit([
        { sql: 'insert into stored values (?)', bindings: [id] },
        { sql: 'update hot set count = count + 1 where id = 1', bindings: [] },
      ])
    })
    return true
  } catch (error) {
    if (isConflict(error)) return false
    throw error
  }
}

const WORKERS = 8
const EACH = 250

;(canRunGalera() ? describe : (): void => {})('on two nodes of a Galera cluster', () => {
  let cluster: PrivateGalera
  let nodes: Knex[]
  beforeAll(async () => {
    cluster = await PrivateGalera.create(2)
    nodes = cluster.nodes.map(({ config }) => createKnex(config))
  }, 120_000)
  afterAll(async () => {
    await Promise.all(
      nodes.map(async (node) => {
        await node.destroy()
      }),
    )
    await cluster.drop()
  })

  test('both nodes can migrate at once: one waits for the other', async () => {
    const results = await Promise.all(
      nodes.map(async (node, index) => await migrate(node, cluster.nodes[index]!.config)),
    )
    expect(results.map(([, names]) => names.length).sort((a, b) => a - b)).toEqual([0, 7])
  })

  test('a node can read the state of the schema while another one changes it', async () => {
    const [changing, reading] = nodes as [Knex, Knex]
    let done = false
    const changes = (async () => {
      for (let change = 0; change < 60; change++)
        await changing.raw(`alter table knex_migrations comment = '${change}'`)
      done = true
    })()
    let reads = 0
    const readers = Array.from({ length: 4 }, async () => {
      for (; !done; reads++) expect((await readSchemaState(reading)).missing).toEqual([])
    })

    await Promise.all([changes, ...readers])
    expect(reads).toBeGreaterThan(60)
  })

  test('every transaction reported as committed is stored', async () => {
    await nodes[0]!.raw('create table stored (id varchar(40) primary key) engine=InnoDB')
    await nodes[0]!.raw('create table hot (id int primary key, count int not null) engine=InnoDB')
    await nodes[0]!.raw('insert into hot values (1, 0)')
    // The other node applies it a moment later.
    await until(
      async () =>
        await nodes[1]!('hot').then(
          (rows) => rows.length === 1,
          () => false,
        ),
      5000,
    )
    const told: string[] = []
    let conflicts = 0
    await Promise.all(
      nodes.flatMap((node, where) =>
        Array.from({ length: WORKERS }, async (_value, worker) => {
          for (let turn = 0; turn < EACH; turn++) {
            const id = `${where} ${worker} ${turn}`
            // Without a pause, for as many conflicts as possible.
            while (!(await store(node, id))) conflicts++
            told.push(id)
          }
        }),
      ),
    )
    // Rows stored on the other node may not be replicated yet.
    await until(
      async () => Number((await nodes[0]!('hot').first('count')).count) >= told.length,
      5000,
    ).catch(() => {})
    const rows = new Set(
      (await nodes[0]!('stored').select('id')).map(({ id }: { id: string }) => id),
    )
    expect(told.filter((id) => !rows.has(id))).toEqual([])
    expect(await nodes[0]!('hot').first('count')).toEqual({ count: told.length })
    // Without conflicts, the test would show nothing.
    expect(conflicts).toBeGreaterThan(100)
  })
})
