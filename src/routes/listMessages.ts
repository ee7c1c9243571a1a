import type { Mailbox } from '../mailbox'
import { parseListRequest } from '../validate'
import type { Operation } from './index'

/** POST /listMessages: a page of one of the caller's own boxes, in order of arrival. */
export function listMessages (mailbox: Mailbox): Operation {
  return async (recipient, request) => {
    return { status: 'success', ...await mailbox.list(recipient, parseListRequest(request)) }
  }
}
