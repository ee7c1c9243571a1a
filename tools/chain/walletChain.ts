/**
 * The mock chain of the wallet toolbox, with real wallets. On the loopback it has a storage server
 * for the wallets, a block header service, and an ARC.
 */
import {
  Beef,
  CachedKeyDeriver,
  LockingScript,
  P2PKH,
  PrivateKey,
  ProtoWallet,
  PublicKey,
  Transaction,
  UnlockingScript,
  type WalletInterface,
} from '@bsv/sdk'
import {
  MockServices,
  StorageClient,
  StorageKnex,
  StorageProvider,
  StorageServer,
  Wallet,
  WalletStorageManager,
} from '@bsv/wallet-toolbox'
import knexLib, { type Knex } from 'knex'
import { randomBytes } from 'node:crypto'
import { SqliteClient } from '../../src/db/engine/sqliteDriver'
import { hush } from '../clients/hush'
import { ANYONE } from './payer'
import { onEnd } from '../servers/server'
import { readBody, serve } from '../servers/services'

/** A coinbase can be spent after this many blocks. */
const MATURITY_BLOCKS = 101

export interface TestWallet {
  key: PrivateKey
  identityKey: string
  wallet: WalletInterface
  /** The spendable money, in satoshis. */
  balance: () => Promise<number>
}

export class WalletChain {
  /** The ids of all transactions that ARC received. */
  readonly broadcast: string[] = []
  #nextCoinbase = 1
  #storageUrl = ''

  private constructor(
    readonly services: MockServices,
    readonly env: Record<string, string> = {},
  ) {}

  static async start(): Promise<WalletChain> {
    const chain = new WalletChain(new MockServices(memory()))
    onEnd(async () => {
      await chain.services.knex.destroy()
    })
    chain.#mineAtOnce()
    await chain.services.initialize()
    for (let height = 0; height < MATURITY_BLOCKS; height++) await chain.services.mineBlock()
    chain.env.NETWORK = 'local'
    chain.env.CHAINTRACKS_URL = await serve((request, response) => {
      void chain.#header(request.url ?? '').then((value) => {
        response.end(JSON.stringify({ status: 'success', value }))
      })
    })
    chain.env.ARC_URL = await serve((request, response) => {
      void readBody(request).then(async (body) => {
        response.end(JSON.stringify(await chain.#accept(body)))
      })
    })
    chain.env.WALLET_STORAGE_URL = chain.#storageUrl = await chain.#serveStorage()
    return chain
  }

  /** Makes a wallet with money over the storage server. */
  async wallet({
    key = PrivateKey.fromRandom(),
    satoshis = 0,
  }: { key?: PrivateKey; satoshis?: number } = {}): Promise<TestWallet> {
    const keyDeriver = new CachedKeyDeriver(key)
    const storage = new WalletStorageManager(keyDeriver.identityKey)
    const wallet = new Wallet({ chain: 'mock', keyDeriver, storage, services: this.services })
    await storage.addWalletStorageProvider(new StorageClient(wallet, this.#storageUrl))
    await storage.makeAvailable()
    onEnd(async () => {
      await wallet.destroy()
    })
    const made = {
      key,
      identityKey: keyDeriver.identityKey,
      wallet,
      balance: async () => await wallet.balance(),
    }
    if (satoshis > 0) await this.fund(made, satoshis)
    return made
  }

  /** Pays a wallet from a coinbase, and mines the transaction. */
  async fund({ wallet, identityKey }: TestWallet, satoshis: number): Promise<void> {
    const [derivationPrefix, derivationSuffix] = [randomBytes(16), randomBytes(16)].map((bytes) =>
      bytes.toString('base64'),
    ) as [string, string]
    const { publicKey } = await new ProtoWallet('anyone').getPublicKey({
      protocolID: [2, '3241645161d8'],
      keyID: `${derivationPrefix} ${derivationSuffix}`,
      counterparty: identityKey,
    })
    const transaction = await this.#spendCoinbase()
    transaction.addOutput({
      satoshis,
      lockingScript: new P2PKH().lock(PublicKey.fromString(publicKey).toHash()),
    })
    await transaction.sign()
    await this.#post(transaction)
    const { merklePath } = await this.services.getMerklePath(transaction.id('hex'))
    transaction.merklePath = merklePath!
    await wallet.internalizeAction({
      tx: transaction.toAtomicBEEF(),
      outputs: [
        {
          outputIndex: 0,
          protocol: 'wallet payment',
          paymentRemittance: { derivationPrefix, derivationSuffix, senderIdentityKey: ANYONE },
        },
      ],
      description: 'Funds for a test',
    })
  }

  async #spendCoinbase(): Promise<Transaction> {
    const { coinbaseTxid } = await this.services
      .knex('mockchain_block_headers')
      .where({ height: this.#nextCoinbase++ })
      .first()
    const { rawTx } = await this.services.getRawTx(coinbaseTxid)
    const sourceTransaction = Transaction.fromBinary(rawTx!)
    const { merklePath } = await this.services.getMerklePath(coinbaseTxid)
    sourceTransaction.merklePath = merklePath!
    const transaction = new Transaction()
    // Every key can spend a coinbase of this chain: its script is OP_TRUE.
    transaction.addInput({
      sourceTransaction,
      sourceOutputIndex: 0,
      unlockingScript: new UnlockingScript(LockingScript.fromHex('').chunks),
      sequence: 0xffffffff,
    })
    return transaction
  }

  /** Mines each posted transaction: this chain cannot verify one that spends an unmined output. */
  #mineAtOnce(): void {
    const post = this.services.postBeef.bind(this.services)
    this.services.postBeef = async (beef, txids) => {
      const results = await post(beef, txids)
      if (results.some(({ status }) => status === 'success')) await this.services.mineBlock()
      return results
    }
  }

  async #post(transaction: Transaction): Promise<string> {
    const beef = new Beef()
    beef.mergeTransaction(transaction)
    const txid = transaction.id('hex')
    const [posted] = await this.services.postBeef(beef, [txid])
    return posted!.status === 'success' ? 'SEEN_ON_NETWORK' : `REJECTED: ${posted!.error!.message}`
  }

  async #header(url: string): Promise<unknown> {
    const { pathname, searchParams } = new URL(url, 'http://chain')
    if (pathname === '/getPresentHeight') return (await this.services.storage.getChainTip())!.height
    if (pathname === '/findHeaderHexForHeight')
      return await this.services.storage.getBlockHeaderByHeight(Number(searchParams.get('height')))
    return undefined
  }

  async #accept(body: string): Promise<object> {
    const transaction = Transaction.fromHexEF((JSON.parse(body) as { rawTx: string }).rawTx)
    const txid = transaction.id('hex')
    this.broadcast.push(txid)
    const known = await this.services.storage.getTransaction(txid)
    const state = known === undefined ? await this.#post(transaction) : 'SEEN_ON_NETWORK'
    return { status: 200, txid, txStatus: state.replace(/:.*/s, ''), extraInfo: state }
  }

  async #serveStorage(): Promise<string> {
    const key = PrivateKey.fromRandom()
    const storage = new StorageKnex({
      ...StorageProvider.createStorageBaseOptions('mock'),
      knex: memory(),
    })
    onEnd(async () => {
      await storage.destroy()
    })
    storage.setServices(this.services)
    await storage.migrate('storage of the tests', key.toPublicKey().toString())
    await storage.makeAvailable()
    const { app } = new StorageServer(storage, {
      port: 0,
      wallet: new ProtoWallet(key) as unknown as Wallet,
      monetize: false,
    }) as unknown as { app: Parameters<typeof serve>[0] }
    hush('{"source":"StorageServer')
    return await serve(app)
  }
}

function memory(): Knex {
  const knex = knexLib({
    client: SqliteClient,
    connection: { filename: ':memory:' },
    useNullAsDefault: true,
    pool: { min: 1, max: 1 },
  })
  // The toolbox recognizes a database by this name.
  knex.client.config.client = 'better-sqlite3'
  return knex
}
