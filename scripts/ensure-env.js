// Before "npm run dev": looks whether that can run at all, and makes a .env from .env.example with a key of its own, where there is none yet.
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
  // Any 32 random bytes are a private key, but for one chance in 2^128.
  const filled = example.replace(
    /^#? ?SERVER_PRIVATE_KEY=.*$/m,
    `SERVER_PRIVATE_KEY=${randomBytes(32).toString('hex')}`,
  )
  writeFileSync(target, filled, { mode: 0o600, flag: 'wx' })
  process.stdout.write('Made .env from .env.example, with a new SERVER_PRIVATE_KEY.\n')
}
