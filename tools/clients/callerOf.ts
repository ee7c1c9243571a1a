import type { Caller } from '../../src/contract/protocol'

/** An identity as the mailbox knows it, when a test calls the mailbox itself. */
export function callerOf(identityKey: string): Caller {
  return { identityKey, address: 'test' }
}
