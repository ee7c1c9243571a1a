/** The documents against what they describe: the README's example is run, and whatever the pages name has to exist. */
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
import { routes } from '../../src/routes'
import { startServer, type TestServer } from '../helpers/server'

const ROOT = join(__dirname, '..', '..')
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const README = read('README.md')
const PAGES = [
  'README.md',
  'DEPLOYING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs/decisions')).map((name) => `docs/decisions/${name}`),
]

/** What every match of a pattern captured first, without repeats. */
function captures(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map((match) => match[1]!))]
}

/** The README's text between a heading and the next one. */
function section(heading: string): string {
  const text = README.split(/^## /m).find((part) => part.startsWith(`${heading}\n`))
  if (text === undefined) throw new Error(`The README has no part "${heading}"`)
  return text
}

/** A fenced block of some language. */
function block(text: string, language: string): string {
  return text.split(`\`\`\`${language}\n`)[1]!.split('```')[0]!
}

/** The table rows of a part whose first cell matches, each as its cells. */
function rows(heading: string, first: RegExp): string[][] {
  return section(heading)
    .split('\n')
    .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')))
    .filter(([cell = '']) => first.test(cell))
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

test.each(['A first message', 'Live messages'])(
  "the README's example runs and prints what the README says: %s",
  async (heading) => {
    const part = section(heading)
    const example = block(part, 'js')
    expect(example).toContain("'http://localhost:8080'")
    const folder = mkdtempSync(join(tmpdir(), 'messagebox-readme-'))
    try {
      symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
      writeFileSync(
        join(folder, 'example.mjs'),
        example.replace('http://localhost:8080', running.host),
      )
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [join(folder, 'example.mjs')],
        { timeout: 30_000 },
      )
      expect(stdout).toBe(block(part, 'text'))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
)

describe("the README's tables", () => {
  const documented = rows('The API at a glance', /^`(GET|POST) \//).map(([cell]) =>
    cell!.replaceAll('`', '').split(' '),
  )

  test.each(documented)('%s %s is a route', async (method, path) => {
    const { status } = await fetch(`${running.host}${path!}`, { method })
    expect([200, 400, 401]).toContain(status)
  })

  test('every route that needs an identity', () => {
    for (const { method, path } of routes(running.server.context))
      expect(documented).toContainEqual([method.toUpperCase(), path])
  })

  test('every error code, with its status', () => {
    const codes = rows('The API at a glance', /^`[A-Z_]+`$/).map(([code = '', status]) => [
      code.replaceAll('`', ''),
      Number(status),
    ])
    expect(Object.fromEntries(codes)).toEqual(
      Object.fromEntries(Object.entries(ERRORS).map(([code, [status]]) => [code, status])),
    )
  })

  const variables = rows('Configuration', /^`[A-Z_]+`$/).map(
    ([name = '', value = '']) => [name.replaceAll('`', ''), value] as const,
  )

  test('every variable, in the order of src/config.ts', () => {
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

describe.each(PAGES)('%s', (page) => {
  const text = read(page)

  test('links to what is there', () => {
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

  test('names files and folders that are there', () => {
    const named = captures(
      text,
      /(?<![\w/.-])((?:src|tests|scripts|migrations|bench|docs|deploy)\/[\w./-]*[\w/]|[\w-]+\.(?:md|yml|txt)|\.env\.example)/g,
    )
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  })

  test('names scripts that are there', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const named = [
      ...captures(text, /npm run (?:--silent )?([a-z:-]+)/g),
      ...captures(text, /npm (test|start)\b/g),
    ]
    expect(named.filter((name) => !(name in scripts))).toEqual([])
  })

  test('names variables and error codes that are there', () => {
    const others =
      read('docker-compose.yml') +
      read('tests/helpers/databases.ts') +
      read('tests/helpers/browser.ts') +
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
