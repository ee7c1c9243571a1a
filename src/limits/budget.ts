/** Limits the memory that clients can fill, in total and for each owner: address or identity. */
import { ApiError } from '../contract/errors'

export interface BudgetBytes {
  total: number
  /** The maximum of one owner. */
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

  get used(): number {
    return this.#used
  }

  hasRoom(owner: string, bytes: number): boolean {
    return (this.#owners.get(owner)?.bytes ?? 0) + bytes <= this.bytes.share
  }

  /**
   * @param owners the account counts for the share of each
   * @param end stops the account's work when others need the memory; undefined if it cannot stop
   */
  open(owners: readonly string[], end?: () => void): ByteAccount {
    return new ByteAccount(this, [...owners], end)
  }

  /**
   * Sets how many bytes an account holds. Over the total, the largest account of the largest owner
   * ends, rather than this one.
   * @throws ApiError ERR_SERVER_BUSY over an owner's share, or if no other account can end
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

  /** The largest account that can end, of the largest owner that has one. */
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

/** The bytes of a budget that one request or socket holds. */
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
   * Sets how many bytes the account holds. Does nothing if it is closed.
   * @throws ApiError ERR_SERVER_BUSY
   */
  resize(bytes: number): void {
    if (!this.#closed) this.budget.resize(this, bytes)
  }

  close(): void {
    this.resize(0)
    this.#closed = true
  }

  /** From now on the account does not end when others need memory. */
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
