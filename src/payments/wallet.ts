/** The server's wallet for money: BRC-100 over a storage elsewhere. It is loaded and built when it is first needed, not before. */
import type { WalletInterface } from '@bsv/sdk'
import type { Secret } from '../secret'
import type { Network as Chain } from '../settings'

export interface WalletSettings {
  privateKey: Secret
  chain: Chain
  storageUrl: string
  chaintracksUrl: string
}

/** How long it may take to reach the storage, in milliseconds. */
const TIMEOUT = 20_000

export class ServerWallet {
  #building: Promise<WalletInterface> | undefined

  constructor (private readonly settings: WalletSettings) {}

  /**
   * The wallet, ready to be used.
   * @throws Error where the storage cannot be reached in time; the next call tries again
   */
  async get (): Promise<WalletInterface> {
    this.#building ??= within(build(this.settings), TIMEOUT, 'the storage of the wallet does not answer in time').catch((error: unknown) => {
      this.#building = undefined
      throw error
    })
    return await this.#building
  }
}

async function build ({ privateKey, chain, storageUrl, chaintracksUrl }: WalletSettings): Promise<WalletInterface> {
  const { PrivateKey, CachedKeyDeriver } = require('@bsv/sdk') as typeof import('@bsv/sdk')
  const toolbox = require('@bsv/wallet-toolbox-client') as typeof import('@bsv/wallet-toolbox-client')
  // The toolbox has services for public networks alone; of these the wallet needs block headers here, and they have a
  // service of their own.
  const services = new toolbox.Services(toolbox.Services.createDefaultOptions(chain === 'main' ? 'main' : 'test'))
  services.options.chaintracks = new toolbox.ChaintracksServiceClient(services.chain, chaintracksUrl)
  const keyDeriver = new CachedKeyDeriver(PrivateKey.fromHex(privateKey.reveal()))
  const storage = new toolbox.WalletStorageManager(keyDeriver.identityKey)
  const wallet = new toolbox.Wallet({ chain: chain === 'local' ? 'mock' : chain, keyDeriver, storage, services })
  await storage.addWalletStorageProvider(new toolbox.StorageClient(wallet, storageUrl))
  await storage.makeAvailable()
  return wallet
}

/** @throws Error with this text where it takes longer than so many milliseconds */
export async function within<T> (work: Promise<T>, timeout: number, text: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => { timer = setTimeout(() => { reject(new Error(text)) }, timeout) })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
