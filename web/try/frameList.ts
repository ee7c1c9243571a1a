/** The list of requests and events, newest first. */
import { byId, element } from './dom'
import { onFrame, type Frame } from './frames'

const MAX_FRAMES = 200
const WAYS: Record<Frame['way'], string> = {
  '→': 'sent',
  '←': 'received',
  '⇄': 'request and response',
  '·': 'connection',
}

export function showFrames(): void {
  const list = byId('frames')
  let count = 0
  const tellCount = (): void => {
    byId('frame-count').textContent = count === 0 ? 'Nothing yet.' : `${count} so far.`
  }
  onFrame((frame) => {
    count++
    list.prepend(toItem(frame))
    if (list.children.length > MAX_FRAMES) list.lastElementChild?.remove()
    tellCount()
  })
  byId('clear').addEventListener('click', () => {
    count = 0
    list.replaceChildren()
    tellCount()
  })
  tellCount()
}

function toItem({ way, name, meaning, parts }: Frame): HTMLElement {
  const arrow = element('span', 'way', way)
  arrow.setAttribute('role', 'img')
  arrow.setAttribute('aria-label', WAYS[way])
  const line = [arrow, element('span', 'name', nameOf(name)), element('span', 'meaning', meaning)]
  if (parts.length === 0) return element('li', '', element('p', 'note', ...line))
  const details = element('details', '', element('summary', '', ...line))
  for (const { heading, text } of parts) {
    const content = element('pre', '', text)
    content.tabIndex = 0
    content.setAttribute('aria-label', heading)
    details.append(element('h3', '', heading), content)
  }
  return element('li', '', details)
}

/** Shortens identity keys in event names. The details show them in full. */
function nameOf(name: string): string {
  return name.replace(/(0[23][0-9a-f]{6})[0-9a-f]{52}([0-9a-f]{6})/, '$1…$2')
}
