/** A Galera cluster of MariaDB nodes on the loopback. A test may kill and restart any node. */
import { existsSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { reservedPort } from '../programs/freePort'
import { canRunMariadb, PrivateMariadb } from './mariadb'

const PROVIDERS = [
  '/usr/lib/galera/libgalera_smm.so',
  '/usr/lib64/galera-4/libgalera_smm.so',
  '/usr/lib/libgalera_smm.so',
]
/** A node that joins copies all data from another node. */
const JOIN_DEADLINE_MS = 90_000

const provider = PROVIDERS.find(existsSync)

/**
 * Whether a test that needs a cluster can run. If not, prints a line.
 * @throws Error with CI=true if not
 */
export function canRunGalera(): boolean {
  if (provider !== undefined && spawnSync('rsync', ['--version']).status === 0 && canRunMariadb())
    return true
  const text = 'NO galera-4 AND rsync HERE: WHAT IS TESTED ON A CLUSTER'
  if (process.env.CI === 'true') throw new Error(`${text} CANNOT RUN`)
  process.stderr.write(`\n*** ${text} IS SKIPPED. Install galera-4 and rsync. ***\n`)
  return false
}

export class PrivateGalera {
  private constructor(readonly nodes: readonly PrivateMariadb[]) {}

  static async create(count = 3): Promise<PrivateGalera> {
    const ports = await Promise.all(
      Array.from({ length: count }, async () => ({
        group: await reservedPort(),
        transfer: await reservedPort(),
        state: await reservedPort(),
      })),
    )
    const members = ports.map(({ group }) => `127.0.0.1:${group}`)
    const nodes: PrivateMariadb[] = []
    for (const [index, { group, transfer, state }] of ports.entries()) {
      nodes.push(
        await PrivateMariadb.create(
          [
            '--wsrep-on=ON',
            `--wsrep-provider=${provider}`,
            `--wsrep-cluster-address=gcomm://${members.join(',')}`,
            `--wsrep-node-name=node${index + 1}`,
            '--wsrep-node-address=127.0.0.1',
            '--wsrep-sst-method=rsync',
            `--wsrep-sst-receive-address=127.0.0.1:${state}`,
            `--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:${group};` +
              `ist.recv_addr=127.0.0.1:${transfer};gcache.size=64M`,
            '--binlog-format=ROW',
            '--innodb-autoinc-lock-mode=2',
          ],
          {
            first: index === 0 ? ['--wsrep-new-cluster'] : [],
            deadlineMs: JOIN_DEADLINE_MS,
            user: 'mysql',
          },
        ),
      )
    }
    return new PrivateGalera(nodes)
  }

  async drop(): Promise<void> {
    await Promise.all(
      this.nodes.map(async (node) => {
        await node.drop()
      }),
    )
  }
}
