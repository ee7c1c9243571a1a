// Before "npm run dev": checks its dependencies, and makes .env from .env.example if it is missing.
require('./check-node')
const { randomBytes } = require('node:crypto')
const { existsSync, readFileSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')

try {
  require.resolve('ts-node-dev')
} catch {
  process.stderr.write('"npm run dev" needs the development dependencies: npm ci --include=dev\n')
  process.exit(1)
}
const root = join(__dirname, '..')
const target = join(root, '.env')
if (!existsSync(target)) {
  const example = readFileSync(join(root, '.env.example'), 'utf8')
  // 32 random bytes are a valid private key, except with a probability of 2^-128.
  const filled = example.replace(
    /^#? ?SERVER_PRIVATE_KEY=.*$/m,
    `SERVER_PRIVATE_KEY=${randomBytes(32).toString('hex')}`,
  )
  writeFileSync(target, filled, { mode: 0o600, flag: 'wx' })
  process.stdout.write('Made .env from .env.example, with a new SERVER_PRIVATE_KEY.\n')
}
