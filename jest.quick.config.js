/**
 * The everyday loop: SQLite alone, without the suites that take longest. They start and kill
 * processes or clusters, run a browser, or send load.
 */
process.env.TEST_ENGINES = 'sqlite'

const SLOW = [
  'browser/',
  'cli/',
  'db/(connections|galera|migrate|outage|wallClock)',
  'durability/',
  'http/(differential|memory|clients|forgetting)',
  'limits/(quotas|work)',
  'live/(attacks|bounds|clients|idle|kill|recovery)',
  'nodes/',
  'operator/stop',
  'overlay/(advertise|client)',
  'payments/(frauds|hostile|kill|script|turns|wallet)',
  'push/push',
  'siege/',
]

/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config'),
  testPathIgnorePatterns: SLOW.map((suite) => `<rootDir>/tests/${suite}`),
}
