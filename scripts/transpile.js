// For "node -r": runs TypeScript as Jest does, through swc. Its output is kept in
// node_modules/.cache, so that a server starts as fast as from a build.
const { createHash } = require('node:crypto')
const { mkdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')

const options = {
  swcrc: false,
  jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
  module: { type: 'commonjs' },
  sourceMaps: 'inline',
}
const { version } = require('@swc/core/package.json')
const folder = join(__dirname, '../node_modules/.cache/transpiled')

require.extensions['.ts'] = (module, filename) => {
  module._compile(transpile(filename), filename)
}

function transpile(filename) {
  const source = readFileSync(filename, 'utf8')
  const key = createHash('sha256').update(JSON.stringify([version, options, filename, source]))
  const cached = join(folder, `${key.digest('hex')}.js`)
  try {
    return readFileSync(cached, 'utf8')
  } catch {
    const { code } = require('@swc/core').transformSync(source, { ...options, filename })
    keep(cached, code)
    return code
  }
}

/**
 * Renamed into place, since other processes may read it. A user without write access goes without a
 * cache.
 */
function keep(file, code) {
  const unfinished = `${file}.${process.pid}`
  try {
    mkdirSync(folder, { recursive: true })
    writeFileSync(unfinished, code)
    renameSync(unfinished, file)
  } catch {}
}
