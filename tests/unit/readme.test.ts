/** Runs the examples in the documents, and checks the names and figures in them. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { execFile } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { parseConfig, VARIABLES, type Variable } from '../../src/config'
import { ERRORS } from '../../src/contract/errors'
import { renderErrorsPage } from '../../src/contract/errorsPage'
import { updateRouteTable } from '../../scripts/routeTable'
import { startServer, type TestServer } from '../../tools/servers/server'

const ROOT = join(__dirname, '..', '..')
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const README = read('README.md')
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'DEPLOYING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  ...['docs', 'docs/decisions'].flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
]

/** The distinct first captures of all matches of a pattern. */
function captures(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map((match) => match[1]!))]
}

/** The text of a page from a heading to the next one. */
function section(page: string, heading: string): string {
  const text = read(page)
    .split(/^## /m)
    .find((part) => part.startsWith(`${heading}\n`))
  if (text === undefined) throw new Error(`${page} has no section "${heading}"`)
  return text
}

function block(text: string, language: string): string {
  return text.split(`\`\`\`${language}\n`)[1]!.split('```')[0]!
}

/** The rows of all tables in a text, as arrays of cells. */
function rows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split('|').slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()))
}

/** Settings of other programs. */
const OF_OTHERS = ['OTEL_TRACES_SAMPLER', 'AUTO_ID_CACHE']

let running: TestServer

beforeAll(async () => {
  running = await startServer({
    env: {
      ENABLE_WEBSOCKETS: 'true',
      ENABLE_OVERLAY: 'true',
      ENABLE_TRY: 'true',
      MIGRATE_KEY: 'only for this test',
    },
  })
})

test.each([
  ['README.md', 'A first message'],
  ['docs/live.md', 'Example'],
])('the example in %s, "%s", runs and prints what the document says', async (page, heading) => {
  const part = section(page, heading)
  const example = block(part, 'js')
  expect(example).toContain("'http://localhost:8080'")
  const folder = mkdtempSync(join(tmpdir(), 'messagebox-readme-'))
  try {
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
    writeFileSync(
      join(folder, 'example.mjs'),
      example.replace('http://localhost:8080', running.host),
    )
    const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'example.mjs')], {
      timeout: 30_000,
    })
    expect(stdout).toBe(block(part, 'text'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test("the README's table of routes is that of the declared routes", () => {
  expect(updateRouteTable(README)).toBe(README)
})

test('docs/errors.md is the one that "npm run build" would write', () => {
  expect(read('docs/errors.md')).toBe(renderErrorsPage())
})

describe('docs/configuration.md', () => {
  const variables = rows(read('docs/configuration.md'))
    .filter(([name = '']) => /^`[A-Z_]+`$/.test(name))
    .map(([name = '', value = '']) => [name.replaceAll('`', ''), value] as const)

  test('lists every variable, in the order of src/config', () => {
    expect(variables.map(([name]) => name)).toEqual([...VARIABLES])
  })

  test.each(variables.filter(([, value]) => value !== 'none'))(
    'the default of %s is %s',
    (name, value) => {
      expect(parseConfig({ [name as Variable]: value.replaceAll('`', '') })).toEqual(
        parseConfig({}),
      )
    },
  )
})

test('the README has at most 8,000 bytes', () => {
  expect(Buffer.byteLength(README)).toBeLessThanOrEqual(8000)
})

test('docs/architecture.md has at most 80 lines', () => {
  expect(read('docs/architecture.md').trimEnd().split('\n').length).toBeLessThanOrEqual(80)
})

describe('figures', () => {
  interface Figures {
    perSecond: string
    cpuMs: string
    databaseMs: string
  }

  const baseline = read('bench/baseline.txt')

  /** The figures of an operation in the baseline, as text. */
  function measured(operation: string): { ours: Figures; other: Figures; ratio: string } {
    const lines = baseline.split('\n')
    const at = lines.findIndex((line) => line.startsWith(operation) && line.includes(' ours '))
    const figures = (line: string): Figures => {
      const cells = line.replace(/^.*(?:ours|stock|ProtoWallet) +\d+ +/, '').split(/ {2,}/)
      return { perSecond: cells[0]!, cpuMs: cells[4]!, databaseMs: cells[5]! }
    }
    const ratio = new RegExp(`^${operation} +([\\d.]+) x`, 'm').exec(baseline)![1]!
    return { ours: figures(lines[at]!), other: figures(lines[at + 1]!), ratio }
  }

  const number = (figure: string): number => Number(figure.replaceAll(',', ''))

  test('the comparison in the README matches the benchmark', () => {
    const table = rows(section('README.md', 'Compared with the stock server')).slice(2)
    expect(table.length).toBeGreaterThanOrEqual(5)
    for (const [operation, perSecond, stock, ratio] of table) {
      const { ours, other, ...rest } = measured(operation!)
      expect([operation, perSecond, stock, ratio]).toEqual([
        operation,
        ours.perSecond,
        other.perSecond,
        rest.ratio,
      ])
    }
  })

  describe('in docs/scaling.md', () => {
    const SCALING = section('docs/scaling.md', 'Sizing a very large service')
    const [first = [], second = []] = SCALING.split('At the peak').map(rows)
    const operations = first.filter(([, perSecond]) => /^[\d,.]+$/.test(perSecond!))
    const PEAK = Math.round((10_000_000 * 20 * 5) / 86_400)
    const cores = (ms: number): number => Math.ceil((PEAK * ms) / 1000)
    const databaseMs = operations.reduce((sum, [, , , ms]) => sum + (Number(ms) || 0), 0)

    test('the throughput of a node matches the benchmark', () => {
      expect(operations).toHaveLength(4)
      for (const [operation, ...figures] of operations) {
        const { ours } = measured(operation!)
        expect([operation, ...figures]).toEqual([
          operation,
          ours.perSecond,
          ours.cpuMs,
          ours.databaseMs,
        ])
      }
    })

    test('the peak and the cores follow from the throughput', () => {
      expect(SCALING).toContain(`${PEAK.toLocaleString('en-US')} messages a\nsecond`)
      for (const [operation, , ms] of operations)
        expect(second).toContainEqual([
          operation,
          `${ms} ms of a node`,
          `${cores(number(ms!))} cores`,
        ])
      const database = `${databaseMs.toFixed(3)} ms`
      expect(second).toContainEqual(['database', database, `${cores(databaseMs)} cores`])
    })

    test('the number of machines follows from the cores', () => {
      const all = operations.reduce((sum, [, , ms]) => sum + cores(number(ms!)), 0)
      const machines = Math.ceil(all / 2)
      const spare = Math.ceil((machines * 3) / 2)
      expect(SCALING).toContain(`The ${all} cores of the nodes are ${machines} machines`)
      expect(SCALING).toContain(`or ${spare} machines so that a third may fail`)
    })
  })

  test.each(PAGES)('%s quotes no other throughput', (page) => {
    // Assumptions about other programs in docs/scaling.md.
    const OTHERS = ['100,000 commands', '30,000 requests', '300 commits']
    const quoted = captures(
      read(page),
      /([\d.,]+ (?:sends|lists|acknowledgements|handshakes|deliveries|live deliveries|requests|commits|commands)) (?:a|per) second/g,
    )
    expect(quoted.filter((figure) => !OTHERS.includes(figure))).toEqual([])
  })
})

describe.each(PAGES)('%s', (page) => {
  const text = read(page)

  test('its links resolve', () => {
    for (const link of captures(text, /\]\((?!https?:)([^)]+)\)/g)) {
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? page : join(dirname(page), path)
      expect({ link, found: existsSync(join(ROOT, target)) }).toEqual({ link, found: true })
      const anchors = captures(read(target), /^#+ (.+)$/gm).map((heading) =>
        heading
          .toLowerCase()
          .replace(/[^\w -]/g, '')
          .replaceAll(' ', '-'),
      )
      if (anchor !== undefined) expect(anchors).toContain(anchor)
    }
  })

  test('the files and folders it names exist', () => {
    const named = captures(
      text,
      /(?<![\w/.-])((?:src|tests|tools|scripts|migrations|bench|docs|deploy|web)\/[\w./-]*[\w/]|[\w-]+\.(?:md|yml|txt)|\.env\.example)/g,
    )
    const folders = [ROOT, join(ROOT, dirname(page))]
    const missing = named.filter((path) => !folders.some((from) => existsSync(join(from, path))))
    expect(missing).toEqual([])
  })

  test('the scripts it names exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const named = [
      ...captures(text, /npm run (?:--silent )?([a-z:-]+)/g),
      ...captures(text, /npm (test|start)\b/g),
    ]
    expect(named.filter((name) => !(name in scripts))).toEqual([])
  })

  test('the variables and error codes it names exist', () => {
    const others =
      read('docker-compose.yml') +
      read('tools/databases/databases.ts') +
      read('tools/clients/browser.ts') +
      OF_OTHERS.join()
    const named = captures(text, /`([A-Z]+(?:_[A-Z]+)+)\b/g)
    expect(
      named.filter(
        (name) =>
          !(name in ERRORS) &&
          !VARIABLES.some((variable) => variable === name) &&
          !others.includes(name),
      ),
    ).toEqual([])
  })
})
