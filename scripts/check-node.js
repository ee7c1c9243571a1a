// Rejects an old Node before it fails to load a module. Runs on old versions of Node, so it is
// plain JavaScript. The build copies it to dist/ for src/main.ts.
const { engines, name } = require('../package.json')

const [least] = /\d+/.exec(engines.node)
if (Number(process.versions.node.split('.')[0]) < Number(least)) {
  process.stderr.write(
    `\n${name} needs Node ${least} or later, and this is ${process.version}: ` +
      'install a newer one, then run "npm ci" again.\n\n',
  )
  process.exit(1)
}
