import { html, type Content, type Html } from './html'

export type Fact = [name: string, value: Content]

export function descriptionList(list: Fact[]): Html {
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
