import { html, type Content } from '../html'

/** Turns the parts of a text that are in backticks into `<code>`. */
export function line(text: string): Content {
  return text.split('`').map((part, at) => (at % 2 === 0 ? part : html`<code>${part}</code>`))
}

/** Splits a text at empty lines into paragraphs. Lines that begin with a dash become a list. */
export function prose(text: string): Content {
  return text.split('\n\n').map((paragraph) => {
    const [first = '', ...rest] = paragraph.split('\n- ')
    const list =
      rest.length > 0 &&
      html`<ul>
        ${rest.map((item) => html`<li>${line(item)}</li>`)}
      </ul>`
    return html`<p>${line(first.replaceAll('\n', ' '))}</p>
      ${list} `
  })
}

/** @param what names the code, for screen readers and the copy button */
export function codeBlock(code: string, what: string): Content {
  return html`<pre
    tabindex="0"
    role="group"
    aria-label="${what}"
  ><code data-copy="${what}">${code}</code></pre>`
}

export function jsonBlock(value: unknown, what: string): Content {
  return codeBlock(JSON.stringify(value, null, 2), what)
}
