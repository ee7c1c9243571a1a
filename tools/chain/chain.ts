/** A chain in this process: blocks of one transaction, a block header service, and an ARC. */
import { MerklePath, P2PKH, Transaction, type PrivateKey } from '@bsv/sdk'
import { randomBytes } from 'node:crypto'
import { publicKeyOf } from './keys'
import { readBody, serve } from '../servers/services'

const FIRST_HEIGHT = 1000

export class TestChain {
  /** If set, ARC or the block header service answers 503. */
  arcAway = false
  headersAway = false
  /** The block header service answers when this resolves. */
  beforeHeaders: () => Promise<void> = async () => {}
  /** Replaces ARC's answer. */
  arcAnswer: string | undefined
  /** ARC answers when this resolves. */
  arcTurn: Promise<void> = Promise.resolve()
  /** The ids of all transactions that ARC received. */
  readonly broadcast: string[] = []
  readonly #roots: string[] = []
  /** The transaction that spends an output, by outpoint. */
  readonly #spent = new Map<string, string>()

  private constructor(readonly env: Record<string, string> = {}) {}

  static async start(): Promise<TestChain> {
    const chain = new TestChain()
    chain.env.CHAINTRACKS_URL = await serve((request, response) => {
      void chain.beforeHeaders().then(() => {
        response.statusCode = chain.headersAway ? 503 : 200
        response.end(
          JSON.stringify(
            chain.headersAway
              ? { status: 'error' }
              : { status: 'success', value: chain.#header(request.url ?? '') },
          ),
        )
      })
    })
    chain.env.ARC_URL = await serve((request, response) => {
      void readBody(request).then(async (body) => {
        await chain.arcTurn
        response.statusCode = chain.arcAway ? 503 : 200
        response.end(
          chain.arcAnswer ??
            JSON.stringify(chain.arcAway ? { title: 'away' } : chain.#accept(body)),
        )
      })
    })
    return chain
  }

  /** Makes a transaction with an output for a key, in a block of its own. */
  mint(key: PrivateKey, satoshis: number): Transaction {
    const transaction = new Transaction(
      1,
      [],
      [{ satoshis, lockingScript: new P2PKH().lock(publicKeyOf(key).toHash()) }],
    )
    // Gives each transaction another id, even if key and amount are the same.
    transaction.lockTime = this.#roots.length
    transaction.addInput({
      sourceTXID: randomBytes(32).toString('hex'),
      sourceOutputIndex: 0,
      unlockingScript: new P2PKH().lock(publicKeyOf(key).toHash()),
      sequence: 0,
    } as never)
    return this.mine(transaction)
  }

  /** Puts a transaction into the next block. */
  mine(transaction: Transaction): Transaction {
    const txid = transaction.id('hex')
    const height = FIRST_HEIGHT + this.#roots.length
    transaction.merklePath = new MerklePath(height, [
      [
        { offset: 0, hash: txid, txid: true },
        { offset: 1, hash: randomBytes(32).toString('hex') },
      ],
    ])
    this.#roots.push(transaction.merklePath.computeRoot(txid))
    return transaction
  }

  #header(url: string): unknown {
    const { pathname, searchParams } = new URL(url, 'http://chain')
    if (pathname === '/getPresentHeight') return FIRST_HEIGHT + this.#roots.length - 1
    const merkleRoot = this.#roots[Number(searchParams.get('height')) - FIRST_HEIGHT]
    return merkleRoot === undefined ? undefined : { merkleRoot }
  }

  #accept(body: string): object {
    const transaction = Transaction.fromHexEF((JSON.parse(body) as { rawTx: string }).rawTx)
    const txid = transaction.id('hex')
    this.broadcast.push(txid)
    const outpoints = transaction.inputs.map(
      ({ sourceTransaction, sourceTXID, sourceOutputIndex }) =>
        `${sourceTXID ?? sourceTransaction!.id('hex')}.${sourceOutputIndex}`,
    )
    if (outpoints.some((outpoint) => (this.#spent.get(outpoint) ?? txid) !== txid))
      return { status: 200, txid, txStatus: 'DOUBLE_SPEND_ATTEMPTED' }
    outpoints.forEach((outpoint) => this.#spent.set(outpoint, txid))
    return { status: 200, txid, txStatus: 'SEEN_ON_NETWORK' }
  }
}
