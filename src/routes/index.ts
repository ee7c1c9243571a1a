import type { Request, RequestHandler, Response } from 'express'
import type { AuthRequest } from '../auth/http'
import type { Mailbox } from '../mailbox'
import type { DeviceStore } from '../db/devices'
import type { Permissions } from '../permissions'
import type { Caller } from '../protocol'
import { acknowledgeMessage } from './acknowledgeMessage'
import { listDevices, registerDevice, unregisterDevice } from './devices'
import { listMessages } from './listMessages'
import { getPermission, listPermissions, quote, setPermission } from './permissions'
import { sendMessage } from './sendMessage'

export interface Route {
  method: 'get' | 'post'
  path: string
  handler: RequestHandler
}

/** Answers an authenticated request: takes what the client sent, the query of a GET, else the body; returns the body of a 200. */
export type Operation = (caller: Caller, request: unknown) => Promise<object>

/** An answer that is JSON already, in UTF-8. */
export class JsonBytes {
  constructor (readonly bytes: Buffer) {}
}

/** Everything that needs a proven identity; mounted under the routing prefix. */
export function routes ({ mailbox, permissions, devices }: { mailbox: Mailbox, permissions: Permissions, devices: DeviceStore }): Route[] {
  return [
    post('/sendMessage', sendMessage(mailbox)),
    post('/listMessages', listMessages(mailbox)),
    post('/acknowledgeMessage', acknowledgeMessage(mailbox)),
    post('/permissions/set', setPermission(permissions)),
    get('/permissions/get', getPermission(permissions)),
    get('/permissions/list', listPermissions(permissions)),
    get('/permissions/quote', quote(permissions)),
    post('/registerDevice', registerDevice(devices)),
    get('/devices', listDevices(devices)),
    post('/unregisterDevice', unregisterDevice(devices))
  ]
}

function get (path: string, operation: Operation): Route {
  return { method: 'get', path, handler: async (req, res) => { answer(res, await operation(callerOf(req), req.query)) } }
}

function post (path: string, operation: Operation): Route {
  return { method: 'post', path, handler: async (req, res) => { answer(res, await operation(callerOf(req), req.body)) } }
}

function answer (res: Response, body: object): void {
  if (body instanceof JsonBytes) res.type('json').send(body.bytes)
  else res.json(body)
}

function callerOf (req: Request): Caller {
  return (req as AuthRequest).auth
}
