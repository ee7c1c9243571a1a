/** The API's document is valid, up to date and complete, and its examples are valid. */
import { describe, expect, test } from '@jest/globals'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ERRORS, type ErrorCode } from '../../src/contract/errors'
import { defaultDocument, OPERATIONS } from '../../src/openapi/document'
import { codesOf, NO_OPERATION } from '../../src/openapi/errors'
import { IDENTITY_ROUTES } from '../../src/routes'
import { createEventsDocument } from '../../src/ws/events/asyncapi'
import { faultOf } from '../../tools/contract/documented'

const ROOT = join(__dirname, '..', '..')
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const document = defaultDocument()

/** Codes that only the socket sends; see src/ws/events. */
const OF_THE_SOCKET: ErrorCode[] = [
  'ERR_INVALID_ROOM',
  'ERR_NOT_YOUR_ROOM',
  'ERR_TOO_MANY_ROOMS',
  'ERR_TOO_MANY_PACKETS',
]

test('the document is valid OpenAPI 3.1', async () => {
  // The parser is an ES module, which Jest cannot load.
  const program =
    'import parser from "@apidevtools/swagger-parser"; await parser.validate(process.argv[1]); console.log("valid")'
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', program, join(ROOT, 'docs/openapi.json')],
    { cwd: ROOT },
  )
  expect(stdout).toBe('valid\n')
})

test.each([
  ['docs/openapi.json', () => document],
  ['docs/asyncapi.json', createEventsDocument],
])('%s is what "npm run build" writes', (path, made) => {
  expect(read(path)).toBe(`${JSON.stringify(made(), null, 2)}\n`)
})

test('the document has every error code except those of the socket', () => {
  const told = new Set<string>([...OPERATIONS.flatMap(codesOf), ...NO_OPERATION])
  expect([...told, ...OF_THE_SOCKET].sort()).toEqual(Object.keys(ERRORS).sort())
})

const examples = OPERATIONS.flatMap(({ path, method, answers, body, query }) => {
  const place = ['paths', path, method]
  const media = ['content', 'application/json', 'schema']
  return [
    ...Object.entries(body?.examples ?? {}).map(([name, value]) => ({
      name,
      path: [...place, 'requestBody', ...media],
      value,
    })),
    ...Object.entries(answers).flatMap(([status, answer]) =>
      Object.entries(answer.examples ?? {}).map(([name, value]) => ({
        name,
        path: [...place, 'responses', status, ...media],
        value,
      })),
    ),
    ...Object.entries(query?.examples ?? {}).flatMap(([name, values]) =>
      Object.entries(values as object).map(([parameter, value]) => {
        const index = Object.keys(query!.schema.properties as object).indexOf(parameter)
        return {
          name,
          path: [...place, 'parameters', String(index), 'schema'],
          value: value as unknown,
        }
      }),
    ),
  ]
})

test.each(examples)('the example "$name" is valid at $path', ({ path, value }) => {
  expect(faultOf(path, value)).toBeUndefined()
})

test.each(Object.entries(document.components.examples as Record<string, { value: unknown }>))(
  'the example of %s is valid',
  (code, { value }) => {
    expect(faultOf(['components', 'schemas', code], value)).toBeUndefined()
  },
)

describe.each([...IDENTITY_ROUTES])('$id', ({ id, input, body, query }) => {
  test.each(Object.entries((body ?? query)!.examples))(
    'the example "%s" is accepted',
    (_name, example) => {
      const request =
        id === 'listPermissions' || id === 'listDevices'
          ? Object.fromEntries(Object.entries(example as object).map(([k, v]) => [k, String(v)]))
          : example
      expect(input.parse(request)).toBeDefined()
    },
  )
})
