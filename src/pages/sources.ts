import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bundle } from './bundle'

/** The kinds of files that pages load. */
export const TYPES: Record<string, string> = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
}

/**
 * What a folder has for pages, by the names under which it is served: its files as they are, and as `NAME.js` each
 * folder in it with a `main.ts`, bundled.
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
