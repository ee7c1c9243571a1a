/** A MariaDB that a test may kill: a process, a folder and a port of its own. Its durability is InnoDB's default. */
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

/** Where MariaDB's programs are; undefined where they are not installed. */
function findMariadb(): Programs | undefined {
  // Debian keeps servers where an ordinary user's PATH does not look.
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
 * Whether a test that kills MariaDB can run. Where it cannot, one line says so; a continuous integration has to
 * have MariaDB.
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
   * Makes one with an empty database, and waits until it answers.
   * @param options further ones for mariadbd, and those of its first start alone
   * @param deadlineMs how long a start may take
   * @param user the user it runs as if the tests run as root: a cluster's copy script rejects root
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
    // A test may start it again later, on the same port.
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

  /** Starts it, for the first time or again after it was killed, and waits until it answers. */
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

  /** SIGKILL ends it, SIGSTOP makes it hang and SIGCONT go on. */
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
