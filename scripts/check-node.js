// One sentence for a version of Node that cannot run this, before anything is loaded that ends in a stack.
const { engines, name } = require('../package.json')

const [least] = /\d+/.exec(engines.node)
if (Number(process.versions.node.split('.')[0]) < Number(least)) {
  process.stderr.write(
    `\n${name} needs Node ${least} or later, and this is ${process.version}: install a newer one, then run "npm ci" again.\n\n`,
  )
  process.exit(1)
}
