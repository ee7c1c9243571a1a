/** How a body is listed: as it was sent, or in the wrapper in which the released client looks for a payment. */

/** What the sender put into `body`: a text as it is, an object as its JSON. */
export interface SentBody {
  body: string
  isText: boolean
}

/** @param payment its JSON, where one belongs to the message */
export function toListedBody ({ body, isText }: SentBody, payment?: string): string {
  if (payment === undefined && !looksWrapped(body)) return body
  const message = isText ? JSON.stringify(body) : body
  return payment === undefined ? `{"message":${message}}` : `{"message":${message},"payment":${payment}}`
}

/**
 * Whether the released client would take a body for the wrapper `{"message":…,"payment":…}`. Such a body is listed
 * wrapped, so that it comes out as it went in.
 */
function looksWrapped (body: string): boolean {
  if (!/^[ \t\r\n]*\{/.test(body) || !(body.includes('"message"') || body.includes('\\u'))) return false
  try {
    return Object.hasOwn(JSON.parse(body) as object, 'message')
  } catch {
    return false
  }
}
