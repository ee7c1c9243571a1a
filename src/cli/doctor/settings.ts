import { NativeServerKey } from '../../auth/serverKey'
import { inspectConfig, type ConfigProblem, type FlatEnv, type Variable } from '../../config'
import type { Subject } from './check'
import type { Report } from './finding'

/** If one of them is invalid, the other alone would name another database. */
const DATABASE: Variable[] = ['KNEX_DB_CLIENT', 'KNEX_DB_CONNECTION']

export type Reading = Pick<Subject, 'config' | 'problems' | 'broken'>

/** Reads settings as far as possible: invalid ones count as not set. */
export function readBrokenConfig(env: FlatEnv): Reading {
  const broken = new Set<Variable>()
  const problems: ConfigProblem[] = []
  for (;;) {
    const rest = Object.entries(env).filter(([name]) => !broken.has(name as Variable))
    const reading = inspectConfig(Object.fromEntries(rest) as FlatEnv)
    // Another setting may depend on an invalid one.
    const fresh = reading.problems.filter(
      ({ variables }) => !variables.every((name) => broken.has(name)),
    )
    if (fresh.length === 0) return { config: reading.config, problems, broken }
    problems.push(...fresh)
    const names = fresh.flatMap(({ variables }) => variables)
    for (const name of names) broken.add(name)
    if (names.some((name) => DATABASE.includes(name))) for (const name of DATABASE) broken.add(name)
  }
}

/** @returns undefined if the settings have no valid key */
export function identityOf({
  config,
  broken,
}: Pick<Subject, 'config' | 'broken'>): string | undefined {
  const { privateKey } = config.auth
  return privateKey === undefined || broken.has('SERVER_PRIVATE_KEY')
    ? undefined
    : new NativeServerKey(privateKey).identityKey
}

const WHERE =
  "Correct it where the server's environment is set: .env, the unit's EnvironmentFile, " +
  'or the container. .env.example describes every variable.'

export function checkSettings(subject: Subject, report: Report): void {
  const { config, problems } = subject
  for (const { text } of problems) report.problem('bad-setting', `${text}.`, WHERE)
  if (problems.length === 0) report.ok('settings-valid', 'All settings are valid.')
  checkKey(subject, report)
  checkEnvironment(subject, report)
  const {
    deliveryFees,
    payments: { chaintracksUrl, arcUrl },
    walletStorage,
  } = config
  if (Object.keys(deliveryFees).length === 0) return
  if (chaintracksUrl === undefined || arcUrl === undefined) {
    report.problem(
      'fees-without-services',
      'DELIVERY_FEES is set, but the server cannot check payments on this network: ' +
        'it rejects every message that has a price.',
      'Set CHAINTRACKS_URL and ARC_URL, or remove DELIVERY_FEES.',
    )
  } else if (walletStorage.url === undefined) {
    report.warning(
      'fees-without-wallet',
      'DELIVERY_FEES is set, but the server has no wallet: ' +
        'payments to it wait in the table "payments".',
      'Set WALLET_STORAGE_URL.',
    )
  }
}

function checkKey(subject: Subject, report: Report): void {
  const identityKey = identityOf(subject)
  if (identityKey !== undefined) report.ok('key', `The identity key is ${identityKey}.`)
  else if (!subject.broken.has('SERVER_PRIVATE_KEY')) {
    report.warning(
      'no-key',
      'SERVER_PRIVATE_KEY is not set: each start makes a new identity and ends all sessions.',
      'Make a key with "keygen" and set it.',
    )
  }
}

function checkEnvironment({ env, config, broken, url }: Subject, report: Report): void {
  const isPublic = config.env === 'production' || config.env === 'staging'
  if (!isPublic && url?.startsWith('https:') === true) {
    report.warning(
      'not-production',
      `NODE_ENV is ${env.NODE_ENV ?? 'not set'}, but the server has a public address.`,
      'Set NODE_ENV=production.',
    )
  }
  if (broken.has('KNEX_DB_CONNECTION') || config.db.client === 'mysql2') return
  if (config.redis.url !== undefined) {
    report.problem(
      'nodes-on-sqlite',
      'REDIS_URL is for several nodes, SQLite for one.',
      'Give all nodes the same MySQL, or remove REDIS_URL.',
    )
  } else if (isPublic) {
    report.warning(
      'production-on-sqlite',
      'Production runs on SQLite: one process, on one machine.',
      'One node may use SQLite; for several nodes, or for replicas, use MySQL.',
    )
  }
}
