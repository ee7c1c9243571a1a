// Writes docs/asyncapi.json from the YAML that people edit: the server has no parser for it. The build begins with this.
const { readFileSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { parse } = require('yaml')

const docs = join(__dirname, '..', 'docs')
writeFileSync(
  join(docs, 'asyncapi.json'),
  `${JSON.stringify(parse(readFileSync(join(docs, 'asyncapi.yaml'), 'utf8')), null, 2)}\n`,
)
