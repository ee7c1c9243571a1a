// Lets "npm start" work in a fresh clone. An image contains dist/.
require('./check-node')
const { execSync } = require('node:child_process')
const { existsSync } = require('node:fs')
const { join } = require('node:path')

const root = join(__dirname, '..')
if (!existsSync(join(root, 'dist', 'src', 'main.js')))
  execSync('npm run --silent build', { cwd: root, stdio: 'inherit' })
