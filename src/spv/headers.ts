import type { ChainTracker } from '@bsv/sdk'
import { HeadersUnavailable } from './verify'

/** How long an answer may take, in milliseconds. */
const TIMEOUT = 3000
/** How long a root is remembered, in milliseconds, and how many of them: a block may still be replaced. */
const MEMORY = 60_000
const MOST = 1000

/** The block headers of a Chaintracks service, over HTTP. */
export class ChaintracksHeaders implements ChainTracker {
  readonly #roots = new Map<number, { root: string, until: number }>()
  /** What is being asked for: several proofs may lead to one block. */
  readonly #asked = new Map<number, Promise<string | undefined>>()

  constructor (private readonly url: string) {}

  async isValidRootForHeight (root: string, height: number): Promise<boolean> {
    const known = this.#roots.get(height)
    if (known !== undefined && known.until > Date.now()) return known.root === root
    const asked = this.#asked.get(height) ?? this.#find(height).finally(() => { this.#asked.delete(height) })
    this.#asked.set(height, asked)
    return await asked === root
  }

  async #find (height: number): Promise<string | undefined> {
    const header = await this.#ask(`/findHeaderHexForHeight?height=${height}`) as { merkleRoot?: unknown } | undefined
    const found = typeof header?.merkleRoot === 'string' ? header.merkleRoot : undefined
    if (this.#roots.size >= MOST) this.#roots.clear()
    // One that is not there yet may be found in a moment.
    if (found !== undefined) this.#roots.set(height, { root: found, until: Date.now() + MEMORY })
    return found
  }

  async currentHeight (): Promise<number> {
    return Number(await this.#ask('/getPresentHeight'))
  }

  /** @throws HeadersUnavailable */
  async #ask (path: string): Promise<unknown> {
    try {
      const response = await fetch(`${this.url}${path}`, { signal: AbortSignal.timeout(TIMEOUT) })
      const { status, value } = await response.json() as { status?: string, value?: unknown }
      // A height that does not exist yet is answered with success and no value.
      if (status === 'success') return value
      throw new Error(`it answered ${response.status}`)
    } catch (error) {
      throw new HeadersUnavailable(`the service of block headers failed: ${(error as Error).message}`)
    }
  }
}
