/** What the senders and readers of a load know: what they asked for, and what was answered. */

/** One message for one recipient. */
export interface Entry {
  messageId: string
  recipient: string
  /** Of the body, in characters. */
  size: number
  /** The ids that were sent together, to be stored together or not at all. */
  together: string[]
  /** The send was answered 200. */
  answered: boolean
  /** The recipient asked for its removal, or was answered that it is gone. */
  acknowledged: 'no' | 'asked' | 'answered'
}

export class Ledger {
  readonly entries = new Map<string, Entry>()
  /** Answers of 200 to sends. */
  answers = 0
  /** Requests that were made again because they failed, and how many of them the server knew already. */
  repeats = 0
  duplicates = 0
  /** Requests that failed as they may: without an answer, or with 503. */
  unanswered = 0
  refused = 0
  /** The longest time until an answer, or until it was clear that there is none, in milliseconds. */
  slowest = 0
  /** Whatever should not happen, in words. */
  readonly faults: string[] = []

  open(entry: Pick<Entry, 'messageId' | 'recipient' | 'size' | 'together'>): void {
    this.entries.set(entry.messageId, { ...entry, answered: false, acknowledged: 'no' })
  }

  answer(messageIds: string[]): void {
    for (const id of messageIds) this.entries.get(id)!.answered = true
    this.answers++
  }

  acknowledge(messageIds: string[], acknowledged: Entry['acknowledged']): void {
    for (const id of messageIds) this.entries.get(id)!.acknowledged = acknowledged
  }
}

/** A body that names its message, so that any of its bytes would be missed. */
export function makeBody(messageId: string, size: number): string {
  return messageId.repeat(Math.ceil(size / messageId.length)).slice(0, size)
}
