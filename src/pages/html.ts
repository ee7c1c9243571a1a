/** HTML templates that escape every value that is not HTML itself. */

export class Html {
  constructor(readonly text: string) {}

  toString(): string {
    return this.text
  }
}

/** A value in a template. Arrays are joined; false, null and undefined add nothing. */
export type Content = Html | string | number | false | null | undefined | Content[]

const ESCAPES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Template tag: html`<p title="${text}">${text}</p>`. Attribute values must be in quotes. */
export function html(parts: TemplateStringsArray, ...contents: Content[]): Html {
  return new Html(
    parts.map((part, at) => (at === 0 ? part : toText(contents[at - 1]) + part)).join(''),
  )
}

function toText(content: Content): string {
  if (content instanceof Html) return content.text
  if (Array.isArray(content)) return content.map(toText).join('')
  if (content === false || content === null || content === undefined) return ''
  return String(content).replace(/[&<>"']/g, (character) => ESCAPES[character]!)
}
