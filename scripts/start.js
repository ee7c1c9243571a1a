// Runs the compiled server. Compiles it first in a fresh clone.
require('./check-node')
const { execSync } = require('node:child_process')
const { existsSync } = require('node:fs')
const { enableCompileCache } = require('node:module')
const { join } = require('node:path')

const root = join(__dirname, '..')
const main = join(root, 'dist', 'src', 'main.js')
if (!existsSync(main)) execSync('npm run --silent build', { cwd: root, stdio: 'inherit' })
// Node 22.1 and later keep compiled code there. Its default folder is in /tmp, where any user could
// put code for the server to run.
enableCompileCache?.(join(root, 'dist', 'cache'))
require(main)
