import type { Mailbox } from '../mailbox'
import { parseAcknowledgeRequest } from '../contract/messages'
import type { Operation } from './route'

/** POST /acknowledgeMessage: removes messages of the caller, for good. */
export function acknowledgeMessage(mailbox: Mailbox): Operation {
  return async (recipient, request) => {
    await mailbox.acknowledge(recipient, parseAcknowledgeRequest(request))
    return { status: 'success' }
  }
}
