/** The requests and answers of the clients of a load. */

/** One message for one recipient. */
export interface Entry {
  messageId: string
  recipient: string
  /** Of the body, in characters. */
  size: number
  /** The ids that were sent together, which are stored together or not at all. */
  together: string[]
  /** The send was answered 200. */
  answered: boolean
  /** Whether the recipient has requested its removal, and got the answer. */
  acknowledged: 'no' | 'asked' | 'answered'
}

export class Ledger {
  readonly entries = new Map<string, Entry>()
  /** Answers of 200 to sends. */
  answers = 0
  /** Requests repeated after a failure, and how many of them were duplicates. */
  repeats = 0
  duplicates = 0
  /** Requests without an answer or with 503, which are allowed failures. */
  unanswered = 0
  refused = 0
  /** The longest time until an answer or a failure, in milliseconds. */
  slowest = 0
  /** Descriptions of everything else that should not happen. */
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
