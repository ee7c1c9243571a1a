import type { IdentityKey } from '../contract/protocol'

/** What a device gets: never a body. */
export interface Notice {
  messageId: string
  messageBox: string
  sender: IdentityKey
}

export interface PushService {
  /**
   * Resolves when the service has accepted the notice.
   * @returns false if the service says that the device no longer exists
   * @throws Error with a `code`, and `retryable` if the service may accept the notice soon
   */
  send: (token: string, notice: Notice) => Promise<boolean>
  close: () => Promise<void>
}
