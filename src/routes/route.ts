import type { Request, RequestHandler, Response } from 'express'
import type { AuthRequest } from '../auth/http'
import type { Caller } from '../contract/protocol'

export interface Route {
  method: 'get' | 'post'
  path: string
  handler: RequestHandler
}

/** Answers an authenticated request: takes what the client sent, the query of a GET, else the body; returns the body of a 200. */
export type Operation = (caller: Caller, request: unknown) => Promise<object>

/** An answer that is JSON already, in UTF-8. */
export class JsonBytes {
  constructor(readonly bytes: Buffer) {}
}

export function get(path: string, operation: Operation): Route {
  return {
    method: 'get',
    path,
    handler: async (req, res) => {
      answer(res, await operation(callerOf(req), req.query))
    },
  }
}

export function post(path: string, operation: Operation): Route {
  return {
    method: 'post',
    path,
    handler: async (req, res) => {
      answer(res, await operation(callerOf(req), req.body))
    },
  }
}

function answer(res: Response, body: object): void {
  if (body instanceof JsonBytes) res.type('json').send(body.bytes)
  else res.json(body)
}

function callerOf(req: Request): Caller {
  return (req as AuthRequest).auth
}
