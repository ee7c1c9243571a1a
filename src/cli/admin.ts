#!/usr/bin/env node
/** The operator's tool, see "messagebox-admin --help". */
import { CommanderError } from 'commander'
import type { Outcome } from './admin/command'
import { createProgram } from './admin/program'
import { WrongUsage } from './admin/purge'
import { describeFailure } from './failure'
import { printableLines, toPrintableJson } from './wording'

const FAILED = 1
const INVALID_ARGUMENTS = 2

/** Read before commander parses, so that even a parse error is reported as JSON. */
const json = process.argv.slice(2).includes('--json')

async function main(): Promise<void> {
  const program = createProgram(show, json)
  // Commander prints errors to standard error. With --json, "fail" reports them.
  if (json)
    program.commands
      .concat(program)
      .forEach((command) => command.configureOutput({ writeErr() {} }))
  await program.parseAsync()
}

function show({ text, json: document, failed = false }: Outcome): void {
  process.stdout.write(`${json ? toPrintableJson(document) : printableLines(text)}\n`)
  if (failed) process.exitCode = FAILED
}

function fail(error: unknown): void {
  // Commander has shown the help or the version.
  if (error instanceof CommanderError && error.exitCode === 0) return
  const usage = error instanceof CommanderError || error instanceof WrongUsage
  process.exitCode = usage ? INVALID_ARGUMENTS : FAILED
  if (json) {
    const kind = usage ? 'usage' : 'failure'
    process.stdout.write(`${toPrintableJson({ error: { kind, message: describe(error) } })}\n`)
  } else if (!(error instanceof CommanderError))
    process.stderr.write(`\n${printableLines(describe(error))}\n\n`)
}

function describe(error: unknown): string {
  if (error instanceof CommanderError)
    return error.code === 'commander.help'
      ? 'Name a command: see --help.'
      : error.message.replace(/^error: /, '')
  return error instanceof WrongUsage ? error.message : describeFailure(error)
}

// A check of the doctor may still run, so the process ends itself after the output is written.
main()
  .catch(fail)
  .finally(() => {
    process.stdout.write('', () => {
      process.exit()
    })
  })
