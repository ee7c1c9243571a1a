/** How the server lists a body: as sent, or in the wrapper that the client reads a payment from. */

/** The sender's `body`: a string as it is, an object as JSON. */
export interface SentBody {
  body: string
  isText: boolean
}

/** @param payment the JSON of the message's payment, if it has one */
export function toListedBody(sent: SentBody, payment?: string): string {
  if (payment !== undefined) return wrapperOf(sent)(payment)
  return looksWrapped(sent.body) ? `{"message":${jsonOf(sent)}}` : sent.body
}

/** Wraps a body with different payments; the body is encoded once. */
export function wrapperOf(sent: SentBody): (payment: string) => string {
  const message = jsonOf(sent)
  return (payment) => `{"message":${message},"payment":${payment}}`
}

function jsonOf({ body, isText }: SentBody): string {
  return isText ? JSON.stringify(body) : body
}

/**
 * Whether the released client would mistake a body for the wrapper `{"message":…,"payment":…}`. The
 * server wraps such a body, so that the client unwraps it to what was sent.
 */
function looksWrapped(body: string): boolean {
  if (!/^[ \t\r\n]*\{/.test(body) || !(body.includes('"message"') || body.includes('\\u')))
    return false
  try {
    return Object.hasOwn(JSON.parse(body) as object, 'message')
  } catch {
    return false
  }
}
