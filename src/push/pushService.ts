import type { IdentityKey } from '../contract/protocol'

/** What a device is told: never a body. */
export interface Notice {
  messageId: string
  messageBox: string
  sender: IdentityKey
}

/** Whoever reaches devices. */
export interface PushService {
  /**
   * Resolves when the service has taken the notice over; false where it says that there is no such device any more.
   * @throws Error whose `code` tells why it was not taken over, and `retryable` whether it may be soon
   */
  send: (token: string, notice: Notice) => Promise<boolean>
  close: () => Promise<void>
}
