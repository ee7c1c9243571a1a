// Starts the suites that take longest first, so that none of them runs alone at the end. Jest does
// so by itself only after a first run.
const Sequencer = require('@jest/test-sequencer').default

/**
 * More than 10 seconds each, the slowest first. Siege measures delays, so it does not start
 * together with the browser.
 */
const SLOW = [
  'browser/pages',
  'durability/kill',
  'durability/migration',
  'db/galera',
  'operator/stop',
  'live/bounds',
  'live/clients',
  'siege/siege',
  'payments/kill',
  'cli/admin',
  'overlay/topic',
  'http/clients',
  'payments/turns',
  'cli/start',
  'durability/outage',
  'cli/doctor',
  'db/connections',
  'payments/frauds',
  'live/rooms',
  'limits/quotas',
  'live/attacks',
  'nodes/workers',
  'nodes/twoNodes',
]

module.exports = class extends Sequencer {
  sort(tests) {
    const place = ({ path }) => {
      const at = SLOW.findIndex((suite) => path.endsWith(`/tests/${suite}.test.ts`))
      return at < 0 ? SLOW.length : at
    }
    return [...super.sort(tests)].sort((a, b) => place(a) - place(b))
  }
}
