// Empties dist/, so that a build keeps nothing of removed sources.
const { rmSync } = require('node:fs')
const { join } = require('node:path')

// Without a compiler the old build could not be replaced.
try {
  require.resolve('typescript')
} catch {
  process.stderr.write('A build needs the development dependencies: npm ci --include=dev\n')
  process.exit(1)
}
rmSync(join(__dirname, '..', 'dist'), { recursive: true, force: true })
