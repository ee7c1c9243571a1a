/**
 * Whether a payment's transaction holds, by the SDK. It runs in a worker thread: what a stranger has made may take its
 * time, and must not take the server's.
 */
import { Beef, Utils, type ChainTracker, type Transaction } from '@bsv/sdk'

/** What is known of a transaction that holds. */
export interface VerifiedTransaction {
  txid: string
  outputs: Array<{ satoshis: number, script: Uint8Array }>
  /** In extended format (BRC-30), in hex, as it is broadcast; undefined where it is in a block already. */
  extended: string | undefined
}

/** `invalid` is the payer's fault; `unavailable` is that of the service that knows the block headers. */
export type Verdict = { verified: VerifiedTransaction } | { invalid: string } | { unavailable: string }

/** How many transactions without a proof of their own a payment may rest on, and how many inputs these may have. */
const MAX_UNPROVEN = 100
const MAX_INPUTS = 1000
/** What a script may hold on its stack, in bytes. */
const SCRIPT_MEMORY = 1024 * 1024

class Invalid extends Error {}

/** The headers could not be looked up: nobody knows whether a proof holds. */
export class HeadersUnavailable extends Error {}

export async function verifyTransaction (bytes: Uint8Array, headers: ChainTracker): Promise<Verdict> {
  try {
    const transaction = parse(bytes)
    const { proven, unproven } = sortOut(transaction)
    checkSpends(unproven)
    // The SDK would look at them between scripts, which a stranger has made and which may take their time.
    await checkProofs(proven, headers)
    if (!await transaction.verify(headers, undefined, SCRIPT_MEMORY)) throw new Invalid('a script does not unlock what it spends, or more is paid than is there')
    return {
      verified: {
        txid: transaction.id('hex'),
        outputs: transaction.outputs.map(({ satoshis = 0, lockingScript }) => ({ satoshis, script: Uint8Array.from(lockingScript.toBinary()) })),
        extended: transaction.merklePath === undefined ? transaction.toHexEF() : undefined
      }
    }
  } catch (error) {
    if (error instanceof HeadersUnavailable) return { unavailable: error.message }
    return { invalid: (error as Error).message }
  }
}

/** One AtomicBEEF and nothing behind it, with everything that its subject rests on. */
function parse (bytes: Uint8Array): Transaction {
  const reader = new Utils.ReaderUint8Array(bytes)
  const beef = Beef.fromReader(reader)
  if (beef.atomicTxid === undefined) throw new Invalid('it is no AtomicBEEF')
  if (!reader.eof()) throw new Invalid('there is something behind the AtomicBEEF')
  const transaction = beef.findAtomicTransaction(beef.atomicTxid)
  if (transaction === undefined) throw new Invalid('the transaction that the AtomicBEEF names is not in it')
  return transaction
}

/** The transaction and its ancestors, down to those that have a proof; `Transaction.verify` runs scripts for the others. */
function sortOut (subject: Transaction): { proven: Transaction[], unproven: Transaction[] } {
  const [proven, unproven] = [new Map<string, Transaction>(), new Map<string, Transaction>()]
  const waiting = [subject]
  for (let transaction = waiting.pop(); transaction !== undefined; transaction = waiting.pop()) {
    const txid = transaction.id('hex')
    if (proven.has(txid) || unproven.has(txid)) continue
    if (transaction.merklePath !== undefined) {
      proven.set(txid, transaction)
      continue
    }
    unproven.set(txid, transaction)
    if (unproven.size > MAX_UNPROVEN) throw new Invalid(`it rests on more than ${MAX_UNPROVEN} transactions without a proof`)
    for (const { sourceTransaction } of transaction.inputs) if (sourceTransaction !== undefined) waiting.push(sourceTransaction)
  }
  return { proven: [...proven.values()], unproven: [...unproven.values()] }
}

async function checkProofs (proven: Transaction[], headers: ChainTracker): Promise<void> {
  for (const transaction of proven) {
    const txid = transaction.id('hex')
    if (!await transaction.merklePath!.verify(txid, headers)) throw new Invalid(`the proof of ${txid} does not lead to a block`)
  }
}

/** `Transaction.verify` does not notice that an output is spent twice, by two inputs of one transaction or of two. */
function checkSpends (transactions: Transaction[]): void {
  const spent = new Set<string>()
  for (const { inputs } of transactions) {
    for (const { sourceTXID, sourceTransaction, sourceOutputIndex } of inputs) {
      const outpoint = `${sourceTXID ?? sourceTransaction?.id('hex') ?? ''}.${sourceOutputIndex}`
      if (spent.has(outpoint)) throw new Invalid(`it spends ${outpoint} twice`)
      spent.add(outpoint)
      if (spent.size > MAX_INPUTS) throw new Invalid(`it rests on more than ${MAX_INPUTS} inputs without a proof`)
    }
  }
}
