/** HTML that is safe by construction: whatever is put into it is escaped, unless it is HTML itself. */

export class Html {
  constructor(readonly text: string) {}

  toString(): string {
    return this.text
  }
}

/** What may stand in a template: arrays are joined, and what is false, null or undefined leaves nothing. */
export type Content = Html | string | number | false | null | undefined | Content[]

const ESCAPES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** A template's tag: html`<p title="${text}">${text}</p>`. Attributes must stand in quotes. */
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
