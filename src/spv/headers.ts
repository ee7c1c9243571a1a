import type { ChainTracker } from '@bsv/sdk'
import { asFields } from '../contract/primitives'
import { fetchJson } from '../lib/fetchJson'
import { HeadersUnavailable } from './verify'

/** How long an answer may take, and how much it may say. */
const TIMEOUT_MS = 3000
const MAX_ANSWER_BYTES = 64 * 1024
/** How long a root is remembered, in milliseconds, and how many of them: a block may still be replaced. */
const MEMORY = 60_000
const MOST = 1000

/** The block headers of a Chaintracks service, over HTTP. */
export class ChaintracksHeaders implements ChainTracker {
  readonly #roots = new Map<number, { root: string; until: number }>()
  /** What is being asked for: several proofs may lead to one block. */
  readonly #asked = new Map<number, Promise<string | undefined>>()

  constructor(private readonly url: string) {}

  async isValidRootForHeight(root: string, height: number): Promise<boolean> {
    const known = this.#roots.get(height)
    if (known !== undefined && known.until > Date.now()) return known.root === root
    const asked =
      this.#asked.get(height) ??
      this.#find(height).finally(() => {
        this.#asked.delete(height)
      })
    this.#asked.set(height, asked)
    const found = await asked
    if (found === undefined)
      throw new HeadersUnavailable(`the service of block headers does not know block ${height} yet`)
    return found === root
  }

  async #find(height: number): Promise<string | undefined> {
    const header = (await this.#ask(`/findHeaderHexForHeight?height=${height}`)) as
      { merkleRoot?: unknown } | undefined
    const found = typeof header?.merkleRoot === 'string' ? header.merkleRoot : undefined
    if (this.#roots.size >= MOST) this.#roots.clear()
    // One that is not there yet may be found in a moment.
    if (found !== undefined) this.#roots.set(height, { root: found, until: Date.now() + MEMORY })
    return found
  }

  async currentHeight(): Promise<number> {
    return Number(await this.#ask('/getPresentHeight'))
  }

  /** @throws HeadersUnavailable */
  async #ask(path: string): Promise<unknown> {
    try {
      const answer = await fetchJson(`${this.url}${path}`, {
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_ANSWER_BYTES,
      })
      const { status, value } = asFields(answer.body) ?? {}
      // A height that does not exist yet is answered with success and no value.
      if (status === 'success') return value
      throw new Error(`it answered ${answer.status}`)
    } catch (error) {
      throw new HeadersUnavailable(
        `the service of block headers failed: ${(error as Error).message}`,
      )
    }
  }
}
