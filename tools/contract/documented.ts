/**
 * Checks every answer of a server of this process against the API's document. Records the
 * operations, statuses and codes that occurred for `globalTeardown.ts`.
 */
import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { appendFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { defaultDocument } from '../../src/openapi/document'

/** Larger bodies are not checked. */
const MAX_CHECKED_BYTES = 1024 * 1024

interface Operation {
  operationId: string
  responses: Record<string, { content?: unknown }>
}

const DOCUMENT = defaultDocument()
const ROOT = 'https://messagebox.example/openapi.json'

/** Knows the document. Compiles each part at its first use. */
export const ajv = new Ajv2020({
  strict: false,
  validateFormats: false,
  validateSchema: false,
  meta: false,
  allErrors: false,
})
ajv.addSchema(DOCUMENT, ROOT)

const compiled = new Map<string, ValidateFunction>()

/**
 * Checks a value against a part of the document.
 * @returns what is wrong, or undefined if the value is valid
 */
export function faultOf(path: Array<string | number>, value: unknown): string | undefined {
  const pointer = path
    .map((key) => String(key).replaceAll('~', '~0').replaceAll('/', '~1'))
    .map(encodeURIComponent)
    .join('/')
  let validate = compiled.get(pointer)
  if (validate === undefined)
    compiled.set(pointer, (validate = ajv.compile({ $ref: `${ROOT}#/${pointer}` })))
  return validate(value) === true ? undefined : ajv.errorsText(validate.errors)
}

/** The servers of this process, by port, with their routing prefix. */
const watched = new Map<number, string>()
const faults: string[] = []
const seen = new Set<string>()

/** Checks every answer of a server against the document from now on. */
export function watchAnswers(port: number, prefix: string): void {
  if (watched.size === 0) for (const [name, listener] of LISTENERS) subscribe(name, listener)
  watched.set(port, prefix)
}

export function unwatchAnswers(port: number): void {
  watched.delete(port)
  if (watched.size === 0) for (const [name, listener] of LISTENERS) unsubscribe(name, listener)
}

/** @returns the answers since the last call that do not match the document */
export function takeFaults(): string[] {
  return faults.splice(0)
}

function onRequest(message: unknown): void {
  const { request, response, socket } = message as {
    request: IncomingMessage
    response: ServerResponse
    socket: Socket
  }
  const prefix = watched.get(socket.localPort ?? 0)
  if (prefix === undefined || request.method === 'OPTIONS' || request.method === 'HEAD') return
  const { write, end } = response
  let body = ''
  let whole = ''
  const keep = (chunk: unknown): void => {
    if (body.length <= MAX_CHECKED_BYTES && (typeof chunk === 'string' || Buffer.isBuffer(chunk)))
      body += String(chunk)
  }
  response.write = function (...parameters: unknown[]): boolean {
    keep(parameters[0])
    return write.apply(response, parameters as Parameters<typeof write>)
  } as typeof write
  // If the server fails to sign an answer that it has ended, it ends another one instead.
  response.end = function (...parameters: unknown[]): ServerResponse {
    keep(parameters[0])
    whole = body
    body = ''
    return end.apply(response, parameters as Parameters<typeof end>)
  } as typeof end
  response.once('prefinish', () => {
    check(
      request,
      prefix,
      response.statusCode,
      whole,
      String(response.getHeader('content-type') ?? 'application/json'),
    )
  })
}

/** The server writes a response to a malformed request directly to the connection. */
function onSocket(message: unknown): void {
  const { socket } = message as { socket: Socket }
  if (!watched.has(socket.localPort ?? 0)) return
  const end = socket.end
  socket.end = function (...parameters: unknown[]): Socket {
    const [, status, body] =
      /^HTTP\/1\.1 (\d+)[^]*?\r\n\r\n([^]*)$/.exec(String(parameters[0] ?? '')) ?? []
    if (status !== undefined) hold('a connection', { status: Number(status), body: body! })
    return end.apply(socket, parameters as Parameters<typeof end>)
  } as typeof end
}

/** Node's diagnostics channels for new requests and connections. */
const LISTENERS = [
  ['http.server.request.start', onRequest],
  ['net.server.socket', onSocket],
] as const

function check(
  { method = '', url = '' }: IncomingMessage,
  prefix: string,
  status: number,
  body: string,
  type: string,
): void {
  const path = url
    .split('?')[0]!
    .toLowerCase()
    .replace(/(?<=.)\/$/, '')
  const found = Object.keys(DOCUMENT.paths).find(
    (known) =>
      path === `${'servers' in DOCUMENT.paths[known]! ? '' : prefix}${known}`.toLowerCase(),
  )
  if (found === undefined || body.length > MAX_CHECKED_BYTES) return
  const operation = DOCUMENT.paths[found]![method.toLowerCase()] as Operation | undefined
  if (operation === undefined) return hold(`${method} ${path}`, { status, body })
  if (!/^application\/json/.test(type)) return note(`${operation.operationId} ${status}`)
  if (operation.responses[status] === undefined)
    faults.push(
      `${method} ${path} answers ${status}, which is not in the document (add the code to the ` +
        `route's "errors"): ${body.slice(0, 500)}`,
    )
  else
    hold(`${method} ${path}`, {
      id: operation.operationId,
      responses: ['paths', found, method.toLowerCase(), 'responses'],
      status,
      body,
    })
}

/** An answer that belongs to no operation must be one of the document's errors. */
function hold(
  what: string,
  {
    id = 'none',
    responses,
    status,
    body,
  }: { id?: string; responses?: string[]; status: number; body: string },
): void {
  try {
    const value = body === '' ? undefined : (JSON.parse(body) as { code?: string })
    const where =
      responses === undefined
        ? ['components', 'schemas', value?.code ?? 'none']
        : [...responses, status, 'content', 'application/json', 'schema']
    const fault = value === undefined ? undefined : faultOf(where, value)
    if (fault !== undefined)
      faults.push(`${what} answers ${status} with ${body.slice(0, 500)}: ${fault}`)
    note(`${id} ${status} ${value?.code ?? ''}`.trim())
  } catch (error) {
    faults.push(`${what} answers ${status} with ${body.slice(0, 500)}: ${String(error)}`)
  }
}

/** Each test file records each line once. `globalSetup.ts` makes the folder. */
function note(line: string): void {
  const folder = process.env.TEST_SEEN_FOLDER
  if (folder === undefined || seen.has(line)) return
  seen.add(line)
  appendFileSync(join(folder, String(process.pid)), `${line}\n`)
}
