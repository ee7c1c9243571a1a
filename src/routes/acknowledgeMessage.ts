import type { Mailbox } from '../mailbox'
import { success } from '../contract/answers'
import { isName } from '../contract/primitives'
import { MAX_ACKNOWLEDGED_IDS } from '../contract/protocol'
import { field, object, refine, type Schema } from '../contract/schema'
import { route } from './route'

const messageIds: Schema<string[]> = {
  read: (ids) =>
    Array.isArray(ids) &&
    ids.length <= MAX_ACKNOWLEDGED_IDS &&
    ids.every((id) => typeof id === 'string')
      ? ids
      : undefined,
  json: {
    type: 'array',
    items: { type: 'string' },
    minItems: 1,
    maxItems: MAX_ACKNOWLEDGED_IDS,
    description: 'Ids of messages of the caller. Unknown ids are ignored.',
  },
}

/** The distinct ids that are valid; other ids cannot match a message. */
const acknowledgeRequest = refine(
  object({
    messageIds: field(messageIds, 'ERR_INVALID_MESSAGE_ID', {
      missing: {
        code: 'ERR_MESSAGE_ID_REQUIRED',
        isMissing: (ids) =>
          ids === undefined || ids === null || (Array.isArray(ids) && ids.length === 0),
      },
    }),
  }),
  ({ messageIds: ids }) => [...new Set(ids)].filter(isName),
)

export const acknowledgeMessage = route({
  method: 'post',
  path: '/acknowledgeMessage',
  id: 'acknowledgeMessage',
  tag: 'Messages',
  summary: 'Delete messages',
  description:
    "Deletes messages from any of the caller's boxes, permanently. Succeeds if at least one id " +
    "belongs to one of the caller's messages, and ignores the other ids.",
  input: acknowledgeRequest,
  examples: { one: { messageIds: ['a fresh id'] } },
  output: {
    description: 'At least one message is deleted.',
    schema: success(),
    examples: { done: { status: 'success' } },
  },
  errors: [
    'ERR_MESSAGE_ID_REQUIRED',
    'ERR_INVALID_MESSAGE_ID',
    'ERR_INVALID_ACKNOWLEDGMENT',
    'ERR_SCHEMA_OUTDATED',
  ],
  sample: `const recipient = await client.getIdentityKey()
const letter = { recipient, messageBox: 'letters', body: 'To myself' }
const { messageId } = await client.sendMessage(letter, host)
console.log(await client.acknowledgeMessage({ messageIds: [messageId], host }))`,
  handler:
    ({ mailbox }: { mailbox: Mailbox }) =>
    async (recipient, ids) => {
      await mailbox.acknowledge(recipient, ids)
      return { status: 'success' }
    },
})
