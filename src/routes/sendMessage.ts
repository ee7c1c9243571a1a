import type { Mailbox } from '../mailbox'
import { parseSendRequest } from '../contract/messages'
import type { Operation } from './route'

/** POST /sendMessage: stores a message for one recipient or up to 100, all or none. */
export function sendMessage(mailbox: Mailbox): Operation {
  return async (sender, request) => {
    const message = parseSendRequest(request)
    const results = await mailbox.send(sender, message)
    const [first] = results
    if (results.length > 1 || first === undefined) {
      return {
        status: 'success',
        message: `Your message has been sent to ${results.length} recipients.`,
        results,
      }
    }
    return {
      status: 'success',
      messageId: first.messageId,
      message: `Your message has been sent to ${first.recipient}`,
      results,
    }
  }
}
