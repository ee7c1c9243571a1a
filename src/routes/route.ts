/** The declaration of a route, from which the router, validation and the documents derive. */
import type { RequestHandler, Response } from 'express'
import type { AuthRequest } from '../auth/http'
import type { ErrorCode } from '../contract/errors'
import type { Caller } from '../contract/protocol'
import type { JsonSchema, ObjectSchema } from '../contract/schema'

/** What every route declares, pages too. */
interface Endpoint {
  method: 'get' | 'post'
  /** The path without the routing prefix. */
  path: string
  /** Other paths of the same route, which the documents leave out. */
  aliases?: readonly string[]
  /** Only `identity` routes need authentication; the authentication middleware answers `handshake`. */
  access: 'open' | 'identity' | 'handshake'
  /** The routing prefix does not apply. */
  atRoot?: true
  /** Supervisors request it often: it has the cheap rate limit and a quiet log. */
  isProbe?: true
  summary: string
}

/** One response of an operation. */
export interface Answer {
  description: string
  /** Its media type, if that is not JSON. */
  type?: string
  /** Undefined if the response has no body. */
  schema?: JsonSchema
  /** Bodies, by the name of the example. */
  examples?: Record<string, unknown>
}

interface InputDescription {
  schema: JsonSchema
  examples: Record<string, unknown>
}

/** A route that the OpenAPI document describes. */
export interface OperationDescription extends Endpoint {
  id: string
  tag: Tag
  description: string
  /** `type` is its media type, if not JSON; `limit` is a sentence about its size. */
  body?: InputDescription & { type?: string; limit?: string }
  headers?: Record<
    string,
    { required: boolean; description: string; schema: JsonSchema; example: string }
  >
  /** An object's schema: each property is a parameter of the query. */
  query?: InputDescription
  /** The successful responses, by status. */
  answers: Record<number, Answer>
  /** The error codes that are specific to the operation. */
  errors: readonly ErrorCode[]
  /** Error codes that it has in common with some other operations. */
  shared?: readonly ErrorCode[]
  /** A sample program for the released client; it follows `PRELUDE`. */
  sample: string
}

/** A route, declared before the parts of the server exist that its handler needs. */
export type RouteDeclaration<Parts> = (Endpoint | OperationDescription) & {
  /** Whether this server has the route; every server has it if this is left out. */
  isEnabled?: (parts: Parts) => boolean
  createHandler: (parts: Parts) => RequestHandler
}

/** A route that the OpenAPI document describes, with its handler. */
export type Operation<Parts> = OperationDescription & RouteDeclaration<Parts>

/** A route of a running server. */
export interface Route extends Endpoint {
  tag?: Tag
  handler: RequestHandler
}

/** A response that is encoded already, as JSON in UTF-8. */
export class JsonBytes {
  constructor(readonly bytes: Buffer) {}
}

interface IdentityRoute<Parts, Input> extends Omit<
  OperationDescription,
  'access' | 'body' | 'query' | 'answers'
> {
  /** The schema of the query of a GET and of the body of a POST. */
  input: ObjectSchema<Input>
  /** Inputs, by the name of the example. */
  examples: Record<string, unknown>
  /** The response with status 200. */
  output: Answer
  /** Answers a valid request of an authenticated caller with the body of its response. */
  handler: (parts: Parts) => (caller: Caller, input: Input) => Promise<object>
}

/** Declares a route that needs a proven identity. */
export function route<Parts, Input>({
  input,
  examples,
  output,
  handler,
  ...described
}: IdentityRoute<Parts, Input>): Operation<Parts> & { input: ObjectSchema<Input> } {
  const isQuery = described.method === 'get'
  return {
    ...described,
    access: 'identity',
    [isQuery ? 'query' : 'body']: { schema: input.json, examples },
    answers: { 200: output },
    input,
    createHandler(parts) {
      const handle = handler(parts)
      return async (req, res) => {
        const request = input.parse(isQuery ? req.query : req.body)
        send(res, await handle((req as AuthRequest).auth, request))
      }
    },
  }
}

/** The routes of a server that has these parts. */
export function createRoutes<Parts>(
  declarations: ReadonlyArray<RouteDeclaration<Parts>>,
  parts: Parts,
): Route[] {
  return declarations
    .filter(({ isEnabled }) => isEnabled === undefined || isEnabled(parts))
    .flatMap(({ createHandler, isEnabled: _isEnabled, aliases = [], ...endpoint }) => {
      const handler = createHandler(parts)
      return [endpoint.path, ...aliases].map((path) => ({ ...endpoint, path, handler }))
    })
}

function send(res: Response, body: object): void {
  if (body instanceof JsonBytes) res.type('json').send(body.bytes)
  else res.json(body)
}

export const TAGS = {
  Messages: 'Send, list and acknowledge.',
  Permissions: 'Who may write to a box, and at what price.',
  Devices: 'Tokens of devices, for push messages.',
  Overlay: 'Who receives messages at which host, for clients of the overlay network.',
  Authentication: 'The handshake that starts a session.',
  Server: 'What the server is and how it is doing; its migrations, for its operator.',
} as const

type Tag = keyof typeof TAGS

/** Two valid identity keys for examples. */
export const ALICE = '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'
export const BOB = '02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5'
