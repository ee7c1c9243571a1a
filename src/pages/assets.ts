import type { RequestHandler } from 'express'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { ApiError } from '../contract/errors'
import { extensionOf, sourcesIn, TYPES } from './sources'

/** `web/` beside `src/`, or the built `web/` beside `dist/src/`. */
const FOLDER = join(__dirname, '..', '..', 'web')

export interface Asset {
  /** Contains a hash of the content, such as `style.0123456789ab.css`. */
  name: string
  type: string
  body: Buffer
  gzipped: Buffer
}

/** The files that pages load. Each is read or bundled at its first request. */
export class Assets {
  readonly #sources: ReturnType<typeof sourcesIn>
  readonly #loaded = new Map<string, Promise<Asset>>()

  constructor(folder = FOLDER) {
    this.#sources = sourcesIn(folder)
  }

  /** @param file the name without hash, such as `style.css` */
  async load(file: string): Promise<Asset> {
    const read = this.#sources.get(file)
    if (read === undefined) throw new Error(`web/ has no file ${file}`)
    const loading =
      this.#loaded.get(file) ??
      toAsset(file, read).catch((error: unknown) => {
        // The next request tries again.
        this.#loaded.delete(file)
        throw error
      })
    this.#loaded.set(file, loading)
    return await loading
  }

  /** @param name with its hash. A page of another version may name a hash that does not exist */
  async find(name: string): Promise<Asset | undefined> {
    const [, stem, extension] = /^([\w-]+)\.[0-9a-f]{12}\.(\w+)$/.exec(name) ?? []
    const file = `${stem}.${extension}`
    if (!this.#sources.has(file)) return undefined
    const asset = await this.load(file)
    return asset.name === name ? asset : undefined
  }
}

async function toAsset(file: string, read: () => Promise<Buffer>): Promise<Asset> {
  const body = await read()
  const extension = extensionOf(file)
  const hash = createHash('sha256').update(body).digest('hex').slice(0, 12)
  return {
    name: `${file.slice(0, -extension.length)}${hash}.${extension}`,
    type: TYPES[extension]!,
    body,
    gzipped: await promisify(gzip)(body),
  }
}

/** GET /assets/NAME. Browsers and proxies may cache the answer permanently. */
export function assetHandler(assets: Assets): RequestHandler {
  return async (req, res) => {
    const asset = await assets.find(String(req.params.file))
    if (asset === undefined) throw new ApiError('ERR_NOT_FOUND')
    const zipped = req.acceptsEncodings('gzip') === 'gzip'
    res.set({
      'content-type': asset.type,
      'cache-control': 'public, max-age=31536000, immutable',
      'x-content-type-options': 'nosniff',
      vary: 'accept-encoding',
      ...(zipped && { 'content-encoding': 'gzip' }),
    })
    res.send(zipped ? asset.gzipped : asset.body)
  }
}
