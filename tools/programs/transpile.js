// For "node -r": runs TypeScript as Jest does, through swc, so that a server starts as fast as from a build.
const { transformFileSync } = require('@swc/core')

const options = {
  swcrc: false,
  jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
  module: { type: 'commonjs' },
  sourceMaps: 'inline',
}

require.extensions['.ts'] = (module, filename) => {
  module._compile(transformFileSync(filename, options).code, filename)
}
