/** The declaration of a route. The router, validation and the documents derive from it. */
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
  /** Other paths of the route. The documents leave them out. */
  aliases?: readonly string[]
  /** `identity` routes need authentication. The authentication middleware answers `handshake`. */
  access: 'open' | 'identity' | 'handshake'
  /** The routing prefix does not apply. */
  atRoot?: true
  /** Health checks request it often: it has the cheap rate limit and a quiet log. */
  isProbe?: true
  summary: string
}

/** One response of an operation. */
export interface Answer {
  description: string
  /** The media type, if not JSON. */
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
  /** `type` is the media type, if not JSON. `limit` is a sentence about the size. */
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
  /** Error codes that the operation shares with some others. */
  shared?: readonly ErrorCode[]
  /** A sample program for the released client. It follows `PRELUDE`. */
  sample: string
}

/** A route, and how to create its handler from the parts of the server that it needs. */
export type RouteDeclaration<Parts> = (Endpoint | OperationDescription) & {
  /** Whether this server has the route. Left out, every server has it. */
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

/** A response body, encoded as JSON in UTF-8. */
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
  /** Returns the response body to a valid request of an authenticated caller. */
  handler: (parts: Parts) => (caller: Caller, input: Input) => Promise<object>
}

/** Declares a route that needs authentication. */
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
  Permissions: 'Rules for boxes: which senders may write to them, and at what price.',
  Devices: 'Devices that receive push messages.',
  Overlay: 'The hosts where identities receive messages, for clients of the overlay network.',
  Authentication: 'The handshake that starts a session.',
  Server: 'Limits, features and health of the server; its migrations, for the operator.',
} as const

type Tag = keyof typeof TAGS

/** Two valid identity keys for examples. */
export const ALICE = '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'
export const BOB = '02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5'
