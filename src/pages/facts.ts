import { html, type Content, type Html } from './html'

export type Fact = [name: string, value: Content]

/** Names and values, as a list. */
export function facts (list: Fact[]): Html {
  return html`<dl class="facts">${list.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>\n`)}</dl>`
}

/** A number as people read it: 10,000. */
export function figure (value: number): string {
  return value.toLocaleString('en')
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']

/** Bytes as people read them: 10 MiB. */
export function size (bytes: number): string {
  const power = Math.max(0, Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10)))
  return `${figure(Math.round(bytes / 1024 ** power * 10) / 10)} ${UNITS[power]!}`
}
