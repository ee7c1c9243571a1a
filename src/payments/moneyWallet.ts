/** The server's BRC-100 wallet over a remote storage. It is loaded at its first use. */
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

const OPEN_TIMEOUT_MS = 20_000
const CLOSE_TIMEOUT_MS = 1000

export class MoneyWallet {
  #building: Promise<Wallet> | undefined

  constructor(private readonly settings: WalletSettings) {}

  async close(): Promise<void> {
    const building = this.#building
    this.#building = undefined
    if (building === undefined) return
    // If the wallet is not built yet, or hangs, the end of the process closes it.
    await withTimeout(
      building.then(async (wallet) => {
        await wallet.destroy()
      }),
      CLOSE_TIMEOUT_MS,
      'the wallet does not close in time',
    ).catch(() => {})
  }

  /**
   * The wallet, ready for use.
   * @throws Error if the storage does not answer in time; the next call tries again
   */
  async get(): Promise<Wallet> {
    this.#building ??= withTimeout(
      build(this.settings),
      OPEN_TIMEOUT_MS,
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
  // The toolbox has services for public networks only. The wallet needs only block headers, which
  // come from `chaintracksUrl`.
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
