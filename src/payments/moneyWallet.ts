/** The server's BRC-100 wallet over a remote storage. It is loaded when it is first needed. */
import type { Wallet } from '@bsv/wallet-toolbox-client'
import { withTimeout } from '../lib/timeout'
import type { Secret } from '../lib/secret'
import type { Network as Chain } from '../config/parsers'

export interface WalletSettings {
  privateKey: Secret
  chain: Chain
  storageUrl: string
  chaintracksUrl: string
}

/** How long it may take to reach the storage, in milliseconds. */
const TIMEOUT = 20_000
/** How long it may take to let go of it, in milliseconds. */
const PATIENCE = 1000

export class MoneyWallet {
  #building: Promise<Wallet> | undefined

  constructor(private readonly settings: WalletSettings) {}

  /** Closes the wallet if it was built. */
  async close(): Promise<void> {
    const building = this.#building
    this.#building = undefined
    if (building === undefined) return
    // A wallet that is being built, or that hangs, ends with the process.
    await withTimeout(
      building.then(async (wallet) => {
        await wallet.destroy()
      }),
      PATIENCE,
      'the wallet does not let go',
    ).catch(() => {})
  }

  /**
   * The wallet, ready for use.
   * @throws Error if the storage does not answer in time; the next call tries again
   */
  async get(): Promise<Wallet> {
    this.#building ??= withTimeout(
      build(this.settings),
      TIMEOUT,
      'the storage of the wallet does not answer in time',
    ).catch((error: unknown) => {
      this.#building = undefined
      throw error
    })
    return await this.#building
  }
}

async function build({
  privateKey,
  chain,
  storageUrl,
  chaintracksUrl,
}: WalletSettings): Promise<Wallet> {
  const { PrivateKey, CachedKeyDeriver } = require('@bsv/sdk') as typeof import('@bsv/sdk')
  const toolbox =
    require('@bsv/wallet-toolbox-client') as typeof import('@bsv/wallet-toolbox-client')
  // The toolbox has services for public networks only. The wallet needs block headers alone, which
  // have a service of their own.
  const services = new toolbox.Services(
    toolbox.Services.createDefaultOptions(chain === 'main' ? 'main' : 'test'),
  )
  services.options.chaintracks = new toolbox.ChaintracksServiceClient(
    services.chain,
    chaintracksUrl,
  )
  const keyDeriver = new CachedKeyDeriver(PrivateKey.fromHex(privateKey.reveal()))
  const storage = new toolbox.WalletStorageManager(keyDeriver.identityKey)
  const wallet = new toolbox.Wallet({
    chain: chain === 'local' ? 'mock' : chain,
    keyDeriver,
    storage,
    services,
  })
  await storage.addWalletStorageProvider(new toolbox.StorageClient(wallet, storageUrl))
  await storage.makeAvailable()
  return wallet
}
