/**
 * Whether a transaction holds, by the SDK: its scripts, its amounts, its proofs, and that nothing is spent twice. It
 * runs in a process of its own: what a stranger has made may take time and memory, and must not take the server's.
 */
import { Beef, Utils, type ChainTracker, type Transaction } from '@bsv/sdk'

/** What is known of a payment's transaction that holds. */
export interface VerifiedPayment {
  txid: string
  outputs: Array<{ satoshis: number; script: Uint8Array }>
  /** In extended format (BRC-30), in hex, as it is broadcast; undefined where it is in a block already. */
  extended: string | undefined
}

/** An output that a transaction spends. */
export interface Spend {
  txid: string
  outputIndex: number
  /** The transaction that spends it. */
  spentBy: string
}

/** What is known of a transaction that holds and was submitted to a topic. */
export interface VerifiedSubmission {
  txid: string
  /** Locking scripts. */
  outputs: Uint8Array[]
  /** What its inputs spend, in their order; behind them, what those of its ancestors spend that have no proof. */
  spends: Spend[]
  /** How many of these are its own. */
  inputs: number
  /** Whether it has a proof of its own. */
  proven: boolean
  /** The transaction with all that it rests on and nothing else, in BEEF (BRC-62). */
  beef: Uint8Array
}

/** What each kind of transaction is verified for. */
export interface Verified {
  payment: VerifiedPayment
  submission: VerifiedSubmission
}

/** `invalid` is the fault of whoever made the transaction; `unavailable` is that of the service that knows the block headers. */
export type Verdict<T> = { verified: T } | { invalid: string } | { unavailable: string }

/** Where proofs are looked up; with the second, they are taken for what they are, and scripts alone count. */
export type Headers = ChainTracker | 'scripts only'

/** How many transactions without a proof of their own one may rest on, and how many inputs these may have. */
const MAX_UNPROVEN: { [Kind in keyof Verified]: number } = { payment: 100, submission: 20 }
const MAX_INPUTS = 1000
/** In how many blocks there may be some with a proof. */
const MAX_BLOCKS = 200
/** What a script may hold on its stack, in bytes. */
const SCRIPT_MEMORY = 1024 * 1024

/** How much is told of what is wrong, in characters. */
const MAX_REASON = 200
/** How many outputs a payment may have. */
const MAX_OUTPUTS = 2000

class Invalid extends Error {}

/** The headers could not be looked up: nobody knows whether a proof holds. */
export class HeadersUnavailable extends Error {}

/** The parts of the work, each of which has its time. */
export type Phase = 'transaction' | 'headers' | 'scripts'

type OnPhase = (phase: Phase) => void

/** The work for each kind: a payment comes as AtomicBEEF (BRC-95), a submission as any BEEF, whose last transaction counts. */
export const VERIFY: {
  [Kind in keyof Verified]: (
    bytes: Uint8Array,
    headers: Headers,
    onPhase?: OnPhase,
  ) => Promise<Verdict<Verified[Kind]>>
} = {
  payment: async (bytes, headers, onPhase) =>
    await verify(
      bytes,
      headers,
      onPhase,
      'payment',
      toPayment,
      async (beef, transaction, unproven) => {
        if (transaction.outputs.length > MAX_OUTPUTS)
          throw new Invalid(`it has more than ${MAX_OUTPUTS} outputs`)
        if (!unproven.every(isFinal))
          throw new Invalid('it, or one that it rests on, is not final yet')
        // What does not belong to the transaction has to hold too, since the payees' wallets look at all of it.
        if (headers !== 'scripts only' && !(await beef.verify(headers)))
          throw new Invalid('something in the BEEF has no proof that leads to a block')
      },
    ),
  submission: async (bytes, headers, onPhase) =>
    await verify(bytes, headers, onPhase, 'submission', toSubmission),
}

type Check = (beef: Beef, transaction: Transaction, unproven: Transaction[]) => Promise<void>

async function verify<T>(
  bytes: Uint8Array,
  headers: Headers,
  onPhase: OnPhase = () => {},
  kind: keyof Verified,
  describe: (transaction: Transaction, unproven: Transaction[], headers: Headers) => T,
  check: Check = async () => {},
): Promise<Verdict<T>> {
  try {
    const { beef, transaction } = parse(bytes, kind === 'payment')
    const { proven, unproven } = sortOut(transaction, MAX_UNPROVEN[kind])
    checkInputs(unproven)
    onPhase('headers')
    // The SDK would look at them between scripts, which a stranger has made and which may take their time.
    if (headers !== 'scripts only') await checkProofs(proven, headers)
    await check(beef, transaction, unproven)
    onPhase('scripts')
    if (!(await transaction.verify(headers, undefined, SCRIPT_MEMORY)))
      throw new Invalid('a script does not unlock what it spends, or more is paid than is there')
    return { verified: describe(transaction, unproven, headers) }
  } catch (error) {
    if (error instanceof HeadersUnavailable) return { unavailable: error.message }
    // The SDK puts whole stacks of scripts into its words.
    return { invalid: (error as Error).message.slice(0, MAX_REASON) }
  }
}

function toPayment(transaction: Transaction): VerifiedPayment {
  return {
    txid: transaction.id('hex'),
    outputs: transaction.outputs.map(({ satoshis = 0, lockingScript }) => ({
      satoshis,
      script: Uint8Array.from(lockingScript.toBinary()),
    })),
    extended: transaction.merklePath === undefined ? transaction.toHexEF() : undefined,
  }
}

function toSubmission(
  transaction: Transaction,
  unproven: Transaction[],
  headers: Headers,
): VerifiedSubmission {
  const isInBlock = transaction.merklePath !== undefined
  const proven = isInBlock && headers !== 'scripts only'
  // Where scripts alone count, those of a transaction with a proof are not looked at: it is not believed what it spends.
  const own = isInBlock && !proven ? [] : [transaction]
  return {
    txid: transaction.id('hex'),
    outputs: transaction.outputs.map(({ lockingScript }) =>
      Uint8Array.from(lockingScript.toBinary()),
    ),
    spends: [...own, ...unproven.filter((other) => other !== transaction)].flatMap(spendsOf),
    inputs: own.length === 0 ? 0 : transaction.inputs.length,
    proven,
    beef: transaction.toBEEFUint8Array(true),
  }
}

function spendsOf(transaction: Transaction): Spend[] {
  const spentBy = transaction.id('hex')
  return transaction.inputs.map(({ sourceTXID, sourceTransaction, sourceOutputIndex }) => ({
    txid: sourceTXID ?? sourceTransaction!.id('hex'),
    outputIndex: sourceOutputIndex,
    spentBy,
  }))
}

/** One BEEF and nothing behind it, with everything that its subject rests on. */
function parse(bytes: Uint8Array, atomic: boolean): { beef: Beef; transaction: Transaction } {
  const reader = new Utils.ReaderUint8Array(bytes)
  const beef = Beef.fromReader(reader)
  if (atomic && beef.atomicTxid === undefined) throw new Invalid('it is no AtomicBEEF')
  if (!reader.eof())
    throw new Invalid(`there is something behind the ${atomic ? 'AtomicBEEF' : 'BEEF'}`)
  const txid = beef.atomicTxid ?? beef.txs.at(-1)?.txid
  link(beef)
  const transaction = txid === undefined ? undefined : beef.findTxid(txid)?.tx
  if (transaction === undefined)
    throw new Invalid(
      atomic
        ? 'the transaction that the AtomicBEEF names is not in it'
        : 'there is no transaction in the BEEF',
    )
  return { beef, transaction }
}

/** Ties each transaction to its proof, or to what it spends. The SDK's own way to do so follows every path to each, and there may be 2^100 of them. */
function link(beef: Beef): void {
  for (const { tx, bumpIndex } of beef.txs) {
    if (tx === undefined) continue
    if (bumpIndex !== undefined) tx.merklePath = beef.bumps[bumpIndex]
    else
      for (const input of tx.inputs) input.sourceTransaction = beef.findTxid(input.sourceTXID!)?.tx
  }
}

/** Nobody can replace it by another one before its time has come. */
function isFinal({ lockTime, inputs }: Transaction): boolean {
  return lockTime === 0 || inputs.every(({ sequence }) => sequence === 0xffffffff)
}

/** The transaction and its ancestors, down to those that have a proof; `Transaction.verify` runs scripts for the others. */
function sortOut(
  subject: Transaction,
  mostUnproven: number,
): { proven: Transaction[]; unproven: Transaction[] } {
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
    if (unproven.size > mostUnproven)
      throw new Invalid(`it rests on more than ${mostUnproven} transactions without a proof`)
    for (const { sourceTransaction } of transaction.inputs)
      if (sourceTransaction !== undefined) waiting.push(sourceTransaction)
  }
  return { proven: [...proven.values()], unproven: [...unproven.values()] }
}

/** All at once: whoever keeps the headers may take its time for each. */
async function checkProofs(proven: Transaction[], headers: ChainTracker): Promise<void> {
  if (new Set(proven.map(({ merklePath }) => merklePath!.blockHeight)).size > MAX_BLOCKS)
    throw new Invalid(`it rests on transactions in more than ${MAX_BLOCKS} blocks`)
  await Promise.all(
    proven.map(async (transaction) => {
      const txid = transaction.id('hex')
      if (!(await transaction.merklePath!.verify(txid, headers)))
        throw new Invalid(`the proof of ${txid} does not lead to a block`)
    }),
  )
}

/**
 * `Transaction.verify` does not notice that an output is spent twice, by two inputs of one transaction or of two; and
 * that one is not there it notices only after scripts have run.
 */
function checkInputs(transactions: Transaction[]): void {
  const spent = new Set<string>()
  for (const { inputs } of transactions) {
    for (const { sourceTXID, sourceTransaction, sourceOutputIndex, unlockingScript } of inputs) {
      // Nodes take no other script here either, and what it pushes is bounded by its length.
      if (unlockingScript?.isPushOnly() === false)
        throw new Invalid('an unlocking script does more than push data')
      if (sourceTransaction?.outputs[sourceOutputIndex] === undefined)
        throw new Invalid('something that it spends, or rests on, is not there')
      const outpoint = `${sourceTXID ?? sourceTransaction?.id('hex') ?? ''}.${sourceOutputIndex}`
      if (spent.has(outpoint)) throw new Invalid(`it spends ${outpoint} twice`)
      spent.add(outpoint)
      if (spent.size > MAX_INPUTS)
        throw new Invalid(`it rests on more than ${MAX_INPUTS} inputs without a proof`)
    }
  }
}
