/** Imported before anything that an older Node cannot load: one sentence instead of a stack. */
import { engines, name } from '../../package.json'

const [least = ''] = /\d+/.exec(engines.node) ?? []
if (Number(process.versions.node.split('.')[0]) < Number(least)) {
  process.stderr.write(
    `\n${name} needs Node ${least} or later, and this is ${process.version}: install a newer one, then run "npm ci" again.\n\n`,
  )
  process.exit(1)
}
