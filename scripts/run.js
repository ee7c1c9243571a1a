// Runs a program by its path without extension: its TypeScript if swc is installed, else dist/.
require('./check-node')
const { join } = require('node:path')

const root = join(__dirname, '..')
const program = process.argv[2]
process.argv.splice(1, 2, join(root, program))
let folder = 'dist'
try {
  require('./transpile')
  process.setSourceMapsEnabled(true)
  folder = '.'
} catch (error) {
  if (error.code !== 'MODULE_NOT_FOUND') throw error
}
try {
  require.resolve(join(root, folder, program))
} catch {
  process.stderr.write(
    `"npm run ${process.env.npm_lifecycle_event ?? program}" needs the development dependencies: ` +
      'npm ci --include=dev\n',
  )
  process.exit(1)
}
require(join(root, folder, program))
