import type { Mailbox } from '../mailbox'
import { parseListRequest } from '../contract/messages'
import { JsonBytes, type Operation } from './route'

/** POST /listMessages: a page of one of the caller's own boxes, in order of arrival. */
export function listMessages(mailbox: Mailbox): Operation {
  return async (recipient, request) => {
    const { json, limit, offset, hasMore, nextOffset } = await mailbox.list(
      recipient,
      parseListRequest(request),
    )
    return new JsonBytes(json.finish({ limit, offset, hasMore, nextOffset }))
  }
}
