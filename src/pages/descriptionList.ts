import { html, type Content, type Html } from './html'

export type Fact = [name: string, value: Content]

/** Names and values, as a list. */
export function facts(list: Fact[]): Html {
  return html`<dl class="facts">
    ${list.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div> `,
    )}
  </dl>`
}
