import type { ChainTracker } from '@bsv/sdk'
import { asFields } from '../contract/primitives'
import { fetchJson } from '../lib/fetchJson'
import { HeadersUnavailable } from './verify'

const CHAINTRACKS_TIMEOUT_MS = 3000
const MAX_ANSWER_BYTES = 64 * 1024
/** A root is cached only for a while, since a block may still be replaced. */
const ROOT_LIFETIME_MS = 60_000
const MAX_ROOTS = 1000

/** Reads block headers from a Chaintracks service over HTTP. */
export class ChaintracksHeaders implements ChainTracker {
  readonly #roots = new Map<number, { root: string; until: number }>()
  /** Lookups in progress by height: several proofs may lead to one block. */
  readonly #lookups = new Map<number, Promise<string | undefined>>()

  constructor(private readonly url: string) {}

  async isValidRootForHeight(root: string, height: number): Promise<boolean> {
    const known = this.#roots.get(height)
    if (known !== undefined && known.until > Date.now()) return known.root === root
    const lookup =
      this.#lookups.get(height) ??
      this.#find(height).finally(() => {
        this.#lookups.delete(height)
      })
    this.#lookups.set(height, lookup)
    const found = await lookup
    if (found === undefined)
      throw new HeadersUnavailable(`the block header service does not know block ${height} yet`)
    return found === root
  }

  async #find(height: number): Promise<string | undefined> {
    const header = (await this.#ask(`/findHeaderHexForHeight?height=${height}`)) as
      { merkleRoot?: unknown } | undefined
    const found = typeof header?.merkleRoot === 'string' ? header.merkleRoot : undefined
    if (this.#roots.size >= MAX_ROOTS) this.#roots.clear()
    // A missing block is not cached: it may exist in a moment.
    if (found !== undefined)
      this.#roots.set(height, { root: found, until: Date.now() + ROOT_LIFETIME_MS })
    return found
  }

  async currentHeight(): Promise<number> {
    return Number(await this.#ask('/getPresentHeight'))
  }

  /** @throws HeadersUnavailable */
  async #ask(path: string): Promise<unknown> {
    try {
      const answer = await fetchJson(`${this.url}${path}`, {
        timeoutMs: CHAINTRACKS_TIMEOUT_MS,
        maxBytes: MAX_ANSWER_BYTES,
      })
      const { status, value } = asFields(answer.body) ?? {}
      // A height that does not exist yet is answered with success and no value.
      if (status === 'success') return value
      throw new Error(`it answered ${answer.status}`)
    } catch (error) {
      throw new HeadersUnavailable(`the block header service failed: ${(error as Error).message}`)
    }
  }
}
