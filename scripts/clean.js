// Empties dist/, so that a build never keeps what its sources have dropped.
const { rmSync } = require('node:fs')
const { join } = require('node:path')

// Without a compiler the old build is all there is.
require.resolve('typescript')
rmSync(join(__dirname, '..', 'dist'), { recursive: true, force: true })
