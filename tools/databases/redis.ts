/** A Redis of a test, which may kill it. It has its own port, and stores nothing on disk. */
import { createClient } from '@redis/client'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { freePort } from '../programs/freePort'
import { Child, eventually } from '../programs/processes'

/**
 * Whether a test that needs Redis can run. If not, prints a line.
 * @throws Error with CI=true if not
 */
export function canRunRedis(): boolean {
  if (spawnSync('redis-server', ['--version']).status === 0) return true
  const text = 'NO redis-server HERE: WHAT IS TESTED WITH MANY NODES'
  if (process.env.CI === 'true') throw new Error(`${text} CANNOT RUN`)
  process.stderr.write(`\n*** ${text} IS SKIPPED. Install redis-server. ***\n`)
  return false
}

export class PrivateRedis {
  #child: Child | undefined

  private constructor(private readonly port: number) {}

  /** Starts a Redis, and waits until it answers. */
  static async create(): Promise<PrivateRedis> {
    const redis = new PrivateRedis(await freePort())
    await redis.start()
    return redis
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const child = (this.#child = new Child('redis-server', [
      '--port',
      String(this.port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      tmpdir(),
    ]))
    await eventually(
      async () => {
        if (!child.running) throw new Error(`Redis ended as it started:\n${child.output}`)
        return (await this.#answers()) ? true : undefined
      },
      () => `Redis does not answer:\n${child.output}`,
    )
  }

  /** SIGKILL ends the process, SIGSTOP suspends it, SIGCONT resumes it. */
  async kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT' = 'SIGKILL'): Promise<void> {
    if (signal === 'SIGKILL') await this.#child?.end(signal)
    else this.#child?.signal(signal)
  }

  async #answers(): Promise<boolean> {
    const client = createClient({ url: this.url, socket: { reconnectStrategy: false } })
    client.on('error', () => {})
    try {
      await client.connect()
      return (await client.ping()) === 'PONG'
    } catch {
      return false
    } finally {
      if (client.isOpen) client.destroy()
    }
  }
}
