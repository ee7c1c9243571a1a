import { Command, InvalidArgumentError, Option } from 'commander'
import { parseConfig, type Config } from '../../config'
import { isName, toIdentityKey } from '../../contract/primitives'
import type { IdentityKey } from '../../contract/protocol'
import { createDurationParser, parseUrl } from '../../config/parsers'
import { version } from '../../../package.json'
import { readConfig, readSettings } from '../environment'
import { createProgress, type Progress } from '../terminal'
import { advertise, advertisements, revoke } from './advertising'
import { boxes } from './boxes'
import type { Outcome } from './command'
import { devices } from './devices'
import { identity } from './identity'
import { keygen } from './keygen'
import { messages } from './messages'
import { migrate } from './migrate'
import { payments } from './payments'
import { purge, WrongUsage } from './purge'
import { stats } from './stats'

export type Show = (outcome: Outcome) => void

const ABOUT =
  "Administers a MessageBox server. It reads the server's settings from the environment and from " +
  '.env in the working directory. It uses the database directly, so the server need not run. ' +
  'No command shows the body of a message. In the folder of the code, run ' +
  '"npm run --silent admin -- COMMAND", such as "npm run --silent admin -- stats --json".'

const MANUAL = `
With --json standard output holds one JSON document and nothing else: what the command found, or
{"error": {"kind": "usage" or "failure", "message": "…"}} if it failed.

Exit codes:
  0  done
  1  it failed, doctor found problems, or the operator did not confirm
  2  invalid arguments

"messagebox-admin COMMAND --help" tells more about a command, with examples.`

const LIMIT = (most: number, usual: number): Option =>
  new Option('--limit <number>', `how many to show, up to ${most}`)
    .default(usual)
    .argParser(whole(1, most))

export function createProgram(show: Show, quiet: boolean): Command {
  const progress = createProgress({ quiet })
  const program = new Command('messagebox-admin')
    .description(ABOUT)
    .version(version)
    .option('--json', 'one JSON document on standard output')
    .addHelpText('after', MANUAL)
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
  addQuestions(program, show)
  addChanges(program, show, progress)
  addAdvertising(program, show, progress)
  program
    .command('doctor')
    .summary('checks everything the server needs, and says what to do')
    .description(
      'Checks settings, key, database, Redis, services, port and proxy, and says how to correct ' +
        'each finding. It changes nothing, and takes up to 15 seconds.',
    )
    .option('--url <url>', 'the public address to check, in place of HOSTING_DOMAIN', parseAddress)
    .addHelpText(
      'after',
      examples(
        'doctor',
        'doctor --url https://box.example.com',
        'doctor --json | jq \'.findings[] | select(.severity == "problem")\'',
      ),
    )
    .action(async ({ url }: { url?: string }) => {
      // Loaded here, so that other commands start faster.
      const { diagnose, describeDiagnosis } = require('../doctor') as typeof import('../doctor')
      progress.show('checking, up to 15 seconds')
      const diagnosis = await diagnose(readSettings(), { url })
      progress.done()
      show({
        json: diagnosis,
        text: describeDiagnosis(diagnosis),
        failed: diagnosis.status === 'problem',
      })
    })
  return program
}

function addQuestions(program: Command, show: Show): void {
  program
    .command('stats')
    .summary('counts messages, boxes, identities and payments')
    .description(
      'Counts messages, boxes, recipients, senders, rules, devices and payments. ' +
        'With quotas on, it reads the counts of the quotas, which are exact and cheap.',
    )
    .option('--exact', 'count the messages themselves, however long it takes')
    .addHelpText('after', examples('stats', 'stats --exact --json'))
    .action(async (options) => {
      show(await stats(options))
    })
  program
    .command('boxes')
    .summary('the boxes of a recipient that hold messages')
    .description(
      'The boxes of a recipient that hold messages: number, bytes of bodies, oldest and newest.',
    )
    .argument('<key>', "the recipient's identity key", parseKey)
    .addOption(LIMIT(1000, 100))
    .option('--after <box>', 'show the boxes after this one', parseBox)
    .addHelpText('after', examples(`boxes ${KEY}`))
    .action(async (key, options) => {
      show(await boxes(key, options))
    })
  program
    .command('messages')
    .summary('the messages of a box, without their bodies')
    .description(
      'The messages of a box in order of arrival: id, sender, bytes and time, never a body.',
    )
    .argument('<key>', "the recipient's identity key", parseKey)
    .argument('<box>', 'the name of the box', parseBox)
    .addOption(LIMIT(1000, 50))
    .option(
      '--after <number>',
      'show the messages after the last page',
      whole(0, Number.MAX_SAFE_INTEGER),
    )
    .addHelpText(
      'after',
      examples(`messages ${KEY} inbox`, `messages ${KEY} inbox --limit 1000 --json`),
    )
    .action(async (key, box, options) => {
      show(await messages(key, box, options))
    })
  program
    .command('devices')
    .summary('the devices of an identity')
    .description('The devices of an identity, without their whole tokens.')
    .argument('<key>', 'the identity key', parseKey)
    .addHelpText('after', examples(`devices ${KEY}`))
    .action(async (key) => {
      show(await devices(key))
    })
  program
    .command('payments')
    .summary('the payments that are not settled')
    .description("The payments that are claimed for a message, or not yet in the server's wallet.")
    .addHelpText('after', examples('payments'))
    .action(async () => {
      show(await payments())
    })
  program
    .command('identity')
    .summary("the server's identity key")
    .description(
      "The server's identity key, network and address, and whether its cryptography is native.",
    )
    .addHelpText('after', examples('identity', 'identity --json | jq --raw-output .identityKey'))
    .action(() => {
      show(identity())
    })
  program
    .command('keygen')
    .summary('makes a SERVER_PRIVATE_KEY')
    .description('Makes a SERVER_PRIVATE_KEY and shows it. The command does not store it.')
    .addHelpText('after', examples('keygen', 'keygen >> .env'))
    .action(() => {
      show(keygen())
    })
}

function addChanges(program: Command, show: Show, progress: Progress): void {
  program
    .command('purge')
    .summary('removes messages for good, after asking')
    .description(
      'Removes read and unread messages for good. It shows their number and asks. ' +
        'Give at least one filter; messages must match all of them. The server may run meanwhile.',
    )
    .option('--recipient <key>', 'messages of this identity key', parseKey)
    .option('--box <box>', 'messages in boxes of this name', parseBox)
    .option(
      '--older-than <time>',
      'messages stored longer ago, such as 30d or "12 hours"',
      use(createDurationParser('1 second', '36500 days', '30d, 12h')),
    )
    .option('--yes', 'do not ask; required without a terminal')
    .option('--dry-run', 'only count the messages')
    .addHelpText(
      'after',
      examples(
        'purge --older-than 90d --dry-run',
        `purge --recipient ${KEY} --box inbox`,
        'purge --box spam --older-than "1 day" --yes --json',
      ),
    )
    .action(async (options) => {
      show(await purge(options, progress))
    })
  program
    .command('migrate')
    .summary('brings the schema up to date')
    .description("Brings the database's schema up to date, as a start of the server does.")
    .addHelpText(
      'after',
      examples(
        'migrate',
        'KNEX_DB_CONNECTION=\'{"host":"127.0.0.1","user":"admin","password":"…",' +
          `"database":"messagebox"}' ${NAME} migrate`,
      ),
    )
    .action(async () => {
      show(await migrate(progress))
    })
}

function addAdvertising(program: Command, show: Show, progress: Progress): void {
  const run = async (command: () => Promise<Outcome>): Promise<void> => {
    progress.show("asking the server's wallet and the overlay network, up to two minutes")
    const outcome = await command().finally(() => {
      progress.done()
    })
    show(outcome)
  }
  program
    .command('advertise')
    .summary('advertises the server on the overlay network')
    .description(
      'Does now what the server does daily with ADVERTISE=true. It anoints the identity of the ' +
        'server at HOSTING_DOMAIN. With ENABLE_OVERLAY, it also advertises the topic and the ' +
        'lookup service. It revokes advertisements of other addresses. Only missing ' +
        'advertisements cost money.',
    )
    .addHelpText('after', examples('advertise', 'advertise --json'))
    .action(async () => {
      await run(async () => await advertise(readAdvertisingConfig()))
    })
  program
    .command('revoke')
    .summary('revokes all advertisements of the server')
    .description(
      'Spends all advertisements of the server that its wallet has. ' +
        'Set ADVERTISE=false first, or the server advertises itself again.',
    )
    .addHelpText('after', examples('revoke'))
    .action(async () => {
      await run(async () => await revoke(readConfig()))
    })
  program
    .command('advertisements')
    .summary('the advertisements of the server')
    .description(
      'The advertisements of the server that its wallet has, ' +
        'and whether the overlay network knows of them.',
    )
    .addHelpText('after', examples('advertisements', 'advertisements --json'))
    .action(async () => {
      await run(async () => await advertisements(readConfig()))
    })
}

const NAME = 'messagebox-admin'
const KEY = '02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5'

function examples(...lines: string[]): string {
  const commands = lines.map((line) => (line.includes(NAME) ? line : `${NAME} ${line}`))
  return ['', 'For example:', ...commands.map((command) => `  ${command}`)].join('\n')
}

function parseKey(value: string): IdentityKey {
  const key = toIdentityKey(value)
  if (key === undefined)
    throw new InvalidArgumentError('It must be an identity key: a secp256k1 public key in hex.')
  return key
}

function parseBox(value: string): string {
  const box = value.trim()
  if (!isName(box))
    throw new InvalidArgumentError(
      'It must be the name of a box: 1 to 255 characters that are not blank.',
    )
  return box
}

function whole(least: number, most: number): (value: string) => number {
  return (value) => {
    const number = Number(value)
    const range = most === Number.MAX_SAFE_INTEGER ? '' : ` from ${least} to ${most}`
    if (!/^\d+$/.test(value) || number < least || number > most)
      throw new InvalidArgumentError(`It must be a whole number${range}.`)
    return number
  }
}

/** The error does not repeat the value, as commander's would: it may hold a password. */
function parseAddress(value: string): string {
  try {
    return parseUrl(value)
  } catch (error) {
    throw new WrongUsage(`--url ${(error as Error).message}.`)
  }
}

function readAdvertisingConfig(): Config {
  return parseConfig({ ...readSettings(), ADVERTISE: 'true' })
}

/** Adapts a parser of settings: its error messages begin after the name of the setting. */
function use<T>(parse: (value: string) => T): (value: string) => T {
  return (value) => {
    try {
      return parse(value)
    } catch (error) {
      throw new InvalidArgumentError(`It ${(error as Error).message}.`)
    }
  }
}
