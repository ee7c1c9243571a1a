import type { Mailbox } from '../mailbox'
import { parseListRequest } from '../validate'
import { JsonText, type Operation } from './index'

/** POST /listMessages: a page of one of the caller's own boxes, in order of arrival. */
export function listMessages (mailbox: Mailbox): Operation {
  return async (recipient, request) => {
    const { encoded, limit, offset, hasMore, nextOffset } = await mailbox.list(recipient, parseListRequest(request))
    const frame = JSON.stringify({ status: 'success', limit, offset, hasMore, nextOffset })
    return new JsonText(`${frame.slice(0, -1)},"messages":${encoded}}`)
  }
}
