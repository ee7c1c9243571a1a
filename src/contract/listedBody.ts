/** How a body is listed: as it was sent, or in the wrapper in which the released client looks for a payment. */

/** What the sender put into `body`: a text as it is, an object as its JSON. */
export interface SentBody {
  body: string
  isText: boolean
}

/** @param payment its JSON, where one belongs to the message */
export function toListedBody(sent: SentBody, payment?: string): string {
  if (payment !== undefined) return wrapperOf(sent)(payment)
  return looksWrapped(sent.body) ? `{"message":${jsonOf(sent)}}` : sent.body
}

/** The wrapper of a body, for as many payments as there are: the body is written as JSON once. */
export function wrapperOf(sent: SentBody): (payment: string) => string {
  const message = jsonOf(sent)
  return (payment) => `{"message":${message},"payment":${payment}}`
}

function jsonOf({ body, isText }: SentBody): string {
  return isText ? JSON.stringify(body) : body
}

/**
 * Whether the released client would take a body for the wrapper `{"message":…,"payment":…}`. Such a body is listed
 * wrapped, so that it comes out as it went in.
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
