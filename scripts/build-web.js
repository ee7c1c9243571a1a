// Writes the files that pages load to dist/web, with programs bundled.
const { mkdirSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { sourcesIn } = require('../dist/src/pages/sources')

const root = join(__dirname, '..')
const target = join(root, 'dist', 'web')

async function build() {
  mkdirSync(target, { recursive: true })
  for (const [name, read] of sourcesIn(join(root, 'web')))
    writeFileSync(join(target, name), await read())
}

build().catch((error) => {
  process.stderr.write(`${error.stack}\n`)
  process.exit(1)
})
