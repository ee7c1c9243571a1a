import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bundle } from './bundle'

/** Content types by extension. */
export const TYPES: Record<string, string> = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
}

/**
 * Finds the files that pages load. A file keeps its name. A folder with a `main.ts` becomes
 * `NAME.js`.
 * @returns functions that read or bundle each file, by name
 */
export function sourcesIn(folder: string): Map<string, () => Promise<Buffer>> {
  const sources = new Map<string, () => Promise<Buffer>>()
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    const entry = join(path, 'main.ts')
    if (existsSync(entry)) sources.set(`${name}.js`, async () => await bundle(entry))
    else if (Object.hasOwn(TYPES, extensionOf(name)))
      sources.set(name, async () => await readFile(path))
  }
  return sources
}

export function extensionOf(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1)
}
