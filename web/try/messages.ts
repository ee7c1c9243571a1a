/** The list of messages on the page. */
import type { PeerMessage } from '@bsv/message-box-client'
import { byId, element } from './dom'
import { shortKey } from './words'

type How = 'live' | 'listed'

export class Messages {
  readonly #list = byId('messages')
  readonly #shown = new Map<string, HTMLElement>()

  /** @param acknowledge deletes a message on the server, or rejects */
  constructor(private readonly acknowledge: (messageId: string) => Promise<void>) {}

  /** Shows a message unless it is shown already. */
  add(message: PeerMessage, how: How): void {
    if (this.#shown.has(message.messageId)) return
    const item = this.#toItem(message, how)
    this.#shown.set(message.messageId, item)
    this.#list.prepend(item)
  }

  /** Makes the list show exactly these messages. */
  settle(messages: PeerMessage[]): void {
    const ids = new Set(messages.map(({ messageId }) => messageId))
    for (const messageId of [...this.#shown.keys()])
      if (!ids.has(messageId)) this.#remove(messageId)
    for (const message of messages) this.add(message, 'listed')
  }

  clear(): void {
    this.settle([])
  }

  #remove(messageId: string): void {
    this.#shown.get(messageId)?.remove()
    this.#shown.delete(messageId)
  }

  #toItem({ messageId, sender, body, created_at: createdAt }: PeerMessage, how: How): HTMLElement {
    const button = element('button', 'small', 'Acknowledge')
    button.type = 'button'
    button.setAttribute('aria-label', `Acknowledge the message from ${shortKey(sender)}`)
    button.addEventListener('click', () => {
      button.disabled = true
      this.acknowledge(messageId).then(
        () => {
          this.#remove(messageId)
          byId('list').focus()
        },
        () => {
          button.disabled = false
        },
      )
    })
    const from = element('span', 'mono', shortKey(sender))
    from.title = sender
    const badge = element(
      'span',
      how === 'live' ? 'badge good' : 'badge',
      how === 'live' ? 'live' : 'over HTTP',
    )
    return element(
      'li',
      '',
      element(
        'p',
        'from',
        element('span', '', 'From ', from),
        element('span', '', timeOf(createdAt)),
        badge,
      ),
      element('p', 'body', typeof body === 'string' ? body : JSON.stringify(body)),
      button,
    )
  }
}

function timeOf(text: unknown): string {
  const time = new Date(String(text))
  return Number.isNaN(time.getTime()) ? '' : time.toLocaleTimeString()
}
