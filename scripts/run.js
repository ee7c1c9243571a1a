// Runs a program by its path without extension: its TypeScript if ts-node is installed, else dist/.
require('./check-node')
const { join } = require('node:path')

const root = join(__dirname, '..')
const program = process.argv[2]
process.argv.splice(1, 2, join(root, program))
// Otherwise ts-node looks for its settings in the current folder.
process.env.TS_NODE_PROJECT ??= join(root, 'tsconfig.json')
let folder = 'dist'
try {
  require('ts-node/register/transpile-only')
  folder = '.'
} catch (error) {
  if (error.code !== 'MODULE_NOT_FOUND') throw error
}
try {
  require.resolve(join(root, folder, program))
} catch {
  process.stderr.write(
    `"npm run ${process.env.npm_lifecycle_event ?? program}" needs the development dependencies: ` +
      'npm ci\n',
  )
  process.exit(1)
}
require(join(root, folder, program))
