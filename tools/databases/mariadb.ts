/**
 * A MariaDB of a test, which may kill it. It has its own folder and port, and default durability.
 */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import mysql from 'mysql2/promise'
import type { TestDatabase } from './databases'
import { reservedPort } from '../programs/freePort'
import { Child, eventually } from '../programs/processes'

interface Programs {
  server: string
  installer: string
}

/** @returns undefined if MariaDB is not installed */
function findMariadb(): Programs | undefined {
  // On Debian, servers are in folders outside of an ordinary user's PATH.
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/sbin',
    '/usr/local/sbin',
    '/usr/libexec',
  ]
  const find = (name: string): string | undefined =>
    folders.map((folder) => join(folder, name)).find(existsSync)
  const server = find('mariadbd')
  const installer = find('mariadb-install-db')
  return server === undefined || installer === undefined ? undefined : { server, installer }
}

/**
 * Whether a test that needs MariaDB can run. If not, prints a line.
 * @throws Error with CI=true if not
 */
export function canRunMariadb(): boolean {
  if (findMariadb() !== undefined) return true
  const text = 'NO mariadbd AND mariadb-install-db HERE: WHAT IS TESTED BY KILLING MARIADB'
  if (process.env.CI === 'true') throw new Error(`${text} CANNOT RUN`)
  process.stderr.write(`\n*** ${text} IS SKIPPED. Install mariadb-server. ***\n`)
  return false
}

export class PrivateMariadb implements TestDatabase {
  readonly config: TestDatabase['config']
  readonly env: TestDatabase['env']
  readonly #folder: string
  readonly #command: [program: string, args: string[]]
  #child: Child | undefined

  private constructor(
    folder: string,
    port: number,
    command: [string, string[]],
    private readonly deadlineMs?: number,
  ) {
    this.#folder = folder
    this.#command = command
    this.config = {
      client: 'mysql2',
      connection: { host: '127.0.0.1', port, user: 'root', database: 'messagebox' },
    }
    this.env = {
      KNEX_DB_CLIENT: 'mysql2',
      KNEX_DB_CONNECTION: JSON.stringify(this.config.connection),
    }
  }

  /**
   * Starts a MariaDB with an empty database, and waits until it answers.
   * @param options further options of mariadbd; `first`: only for its first start
   * @param deadlineMs the time limit of a start
   * @param user runs it if the tests run as root: a cluster's copy script rejects root
   */
  static async create(
    options: string[] = [],
    {
      first = [],
      deadlineMs,
      user = 'root',
    }: { first?: string[]; deadlineMs?: number; user?: string } = {},
  ): Promise<PrivateMariadb> {
    const programs = findMariadb()
    if (programs === undefined) throw new Error('MariaDB is not installed')
    const folder = mkdtempSync(join(tmpdir(), 'messagebox-mariadb-'))
    const common = [
      '--no-defaults',
      `--datadir=${join(folder, 'data')}`,
      ...(process.getuid?.() === 0 ? [`--user=${user}`] : []),
    ]
    if (user !== 'root' && process.getuid?.() === 0) execFileSync('chown', [user, folder])
    await promisify(execFile)(programs.installer, [
      ...common,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
    ])
    // Reserved, since a test may restart it on the same port.
    const port = await reservedPort()
    const mariadb = new PrivateMariadb(
      folder,
      port,
      [
        programs.server,
        [
          ...common,
          '--bind-address=127.0.0.1',
          `--port=${port}`,
          '--skip-name-resolve',
          `--socket=${join(folder, 'socket')}`,
          `--pid-file=${join(folder, 'pid')}`,
          ...options,
        ],
      ],
      deadlineMs,
    )
    await mariadb.start(first)
    return mariadb
  }

  /** Starts it, also after a kill, and waits until it answers. */
  async start(further: string[] = []): Promise<void> {
    const [program, args] = this.#command
    const child = (this.#child = new Child(program, [...args, ...further]))
    await eventually(
      async () => {
        if (!child.running) throw new Error(`MariaDB ended as it started:\n${child.output}`)
        return await this.#createDatabase().then(
          () => true,
          () => undefined,
        )
      },
      () => `MariaDB does not answer:\n${child.output}`,
      this.deadlineMs,
    )
  }

  /** SIGKILL ends the process, SIGSTOP suspends it, SIGCONT resumes it. */
  async kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT' = 'SIGKILL'): Promise<void> {
    if (signal === 'SIGKILL') await this.#child?.end(signal)
    else this.#child?.signal(signal)
  }

  async drop(): Promise<void> {
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #createDatabase(): Promise<void> {
    const { host, port, user, database } = this.config.connection as {
      host: string
      port: number
      user: string
      database: string
    }
    const connection = await mysql.createConnection({ host, port, user, connectTimeout: 3000 })
    try {
      await connection.query(`create database if not exists \`${database}\``)
    } finally {
      await connection.end()
    }
  }
}
