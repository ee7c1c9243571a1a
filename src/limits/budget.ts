/** Memory that clients can fill, bounded in total and for each owner: an address, or an identity. */
import { ApiError } from '../contract/errors'

export interface BudgetBytes {
  total: number
  /** The most of it that one owner may hold. */
  share: number
}

interface Owner {
  bytes: number
  accounts: Set<ByteAccount>
}

export class ByteBudget {
  #used = 0
  readonly #owners = new Map<string, Owner>()

  constructor(private readonly bytes: BudgetBytes) {}

  /** How many bytes all accounts hold. */
  get used(): number {
    return this.#used
  }

  /** Whether an owner's share has room for so many bytes. */
  hasRoom(owner: string, bytes: number): boolean {
    return (this.#owners.get(owner)?.bytes ?? 0) + bytes <= this.bytes.share
  }

  /**
   * Opens an account that holds nothing yet.
   * @param owners whose shares it counts for
   * @param end ends the work that the account is for, when others need its memory; undefined if that is not possible
   */
  open(owners: readonly string[], end?: () => void): ByteAccount {
    return new ByteAccount(this, [...owners], end)
  }

  /**
   * Sets how many bytes an account holds. If the total is exceeded, the largest accounts of the largest owners end,
   * rather than the one that happens to come next.
   * @throws ApiError ERR_SERVER_BUSY if an owner's share is exceeded, or if no other account can end
   */
  resize(account: ByteAccount, bytes: number): void {
    const more = bytes - account.bytes
    if (more > 0) this.#makeRoom(account, more)
    this.#move(account, more)
  }

  #makeRoom(account: ByteAccount, more: number): void {
    const { total, share } = this.bytes
    if (account.owners.some((name) => (this.#owners.get(name)?.bytes ?? 0) + more > share))
      throw new ApiError('ERR_SERVER_BUSY')
    while (this.#used + more > total) {
      const largest = this.#largestAccount()
      if (largest === undefined || largest.sharesOwnerWith(account))
        throw new ApiError('ERR_SERVER_BUSY')
      largest.end()
    }
  }

  /** The largest account that can end, of the owner that holds most of such. */
  #largestAccount(): ByteAccount | undefined {
    const owners = [...this.#owners.values()].sort((a, b) => b.bytes - a.bytes)
    for (const { accounts } of owners) {
      const endable = [...accounts].filter(({ canEnd }) => canEnd)
      if (endable.length > 0)
        return endable.reduce((largest, account) =>
          account.bytes > largest.bytes ? account : largest,
        )
    }
    return undefined
  }

  #move(account: ByteAccount, more: number): void {
    account.bytes += more
    this.#used += more
    for (const name of account.owners) {
      const owner = this.#owners.get(name) ?? { bytes: 0, accounts: new Set() }
      owner.bytes += more
      if (account.bytes > 0) owner.accounts.add(account)
      else owner.accounts.delete(account)
      if (owner.accounts.size > 0) this.#owners.set(name, owner)
      else this.#owners.delete(name)
    }
  }
}

/** What one piece of work holds of a budget. */
export class ByteAccount {
  /** Set by the budget. */
  bytes = 0
  #closed = false

  constructor(
    private readonly budget: ByteBudget,
    readonly owners: readonly string[],
    private onEnd: (() => void) | undefined,
  ) {}

  /**
   * Sets how many bytes are held now. A closed account holds nothing.
   * @throws ApiError ERR_SERVER_BUSY
   */
  resize(bytes: number): void {
    if (!this.#closed) this.budget.resize(this, bytes)
  }

  /** Gives everything back, for good. */
  close(): void {
    this.resize(0)
    this.#closed = true
  }

  /** The memory is in use from now on: it no longer ends for the sake of others. */
  keep(): void {
    this.onEnd = undefined
  }

  get canEnd(): boolean {
    return this.onEnd !== undefined
  }

  end(): void {
    const { onEnd } = this
    this.close()
    onEnd?.()
  }

  sharesOwnerWith(other: ByteAccount): boolean {
    return this.owners.some((owner) => other.owners.includes(owner))
  }
}
