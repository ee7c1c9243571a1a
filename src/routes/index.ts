import type { RequestHandler } from 'express'
import type { AuthRequest } from '../auth/http'
import type { Mailbox } from '../mailbox'
import { acknowledgeMessage } from './acknowledgeMessage'
import { listMessages } from './listMessages'
import { sendMessage } from './sendMessage'

export interface Route {
  method: 'get' | 'post'
  path: string
  handler: RequestHandler
}

/** Answers an authenticated request: takes what the client sent, returns the body of a 200. */
export type Operation = (identityKey: string, request: unknown) => Promise<object>

/** Everything that needs a proven identity; mounted under the routing prefix. */
export function routes (mailbox: Mailbox): Route[] {
  return [
    { method: 'post', path: '/sendMessage', handler: answer(sendMessage(mailbox)) },
    { method: 'post', path: '/listMessages', handler: answer(listMessages(mailbox)) },
    { method: 'post', path: '/acknowledgeMessage', handler: answer(acknowledgeMessage(mailbox)) }
  ]
}

function answer (operation: Operation): RequestHandler {
  return async (req, res) => {
    res.status(200).json(await operation((req as AuthRequest).auth.identityKey, req.body))
  }
}
