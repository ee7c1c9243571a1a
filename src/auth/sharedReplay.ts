import type { ReplayGuard } from './replay'

/** The nonces that nodes, or workers, have seen. */
export interface SharedNonces {
  /** As of a `ReplayGuard`; undefined if the others cannot be reached. */
  firstSeen: (identityKey: string, nonce: string) => Promise<boolean | undefined>
}

/** Remembers nonces with other processes. While they cannot be reached, it remembers its own. */
export class SharedReplayGuard implements ReplayGuard {
  constructor(
    private readonly own: ReplayGuard,
    private readonly shared: SharedNonces,
  ) {}

  async firstSeen(identityKey: string, nonce: string): Promise<boolean> {
    if (!(await this.own.firstSeen(identityKey, nonce))) return false
    return (await this.shared.firstSeen(identityKey, nonce)) ?? true
  }
}
