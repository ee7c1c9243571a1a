// Runs the compiled server. Compiles it first in a fresh clone.
require('./check-node')
const { execSync } = require('node:child_process')
const { existsSync } = require('node:fs')
const { join } = require('node:path')

const root = join(__dirname, '..')
const main = join(root, 'dist', 'src', 'main.js')
if (!existsSync(main)) execSync('npm run --silent build', { cwd: root, stdio: 'inherit' })
require(main)
