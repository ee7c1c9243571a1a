/**
 * Verifies a transaction with the SDK: its scripts, amounts and proofs, and that it spends nothing
 * twice. Runs in a process of its own: an untrusted transaction may take much time.
 */
import { Beef, Utils, type ChainTracker, type Transaction } from '@bsv/sdk'

/** The facts about a valid payment transaction. */
export interface VerifiedPayment {
  txid: string
  outputs: Array<{ satoshis: number; script: Uint8Array }>
  /** In extended format (BRC-30) in hex, for the broadcast; undefined if it is in a block. */
  extended: string | undefined
}

/** An output that a transaction spends. */
export interface Spend {
  txid: string
  outputIndex: number
  /** The transaction that spends it. */
  spentBy: string
}

/** The facts about a valid transaction that was submitted to a topic. */
export interface VerifiedSubmission {
  txid: string
  /** Locking scripts. */
  outputs: Uint8Array[]
  /** What its inputs spend, in order, then what its unproven ancestors spend. */
  spends: Spend[]
  /** How many of the spends are its own. */
  inputs: number
  /** Whether it has a proof of its own. */
  proven: boolean
  /** The transaction and its ancestors, nothing else, in BEEF (BRC-62). */
  beef: Uint8Array
}

export interface Verified {
  payment: VerifiedPayment
  submission: VerifiedSubmission
}

/** `invalid`: the transaction is wrong. `unavailable`: the block header service failed. */
export type Verdict<T> = { verified: T } | { invalid: string } | { unavailable: string }

/** The source of block headers. With 'scripts only', proofs are not checked. */
export type Headers = ChainTracker | 'scripts only'

/** The most ancestors without a proof of their own. */
const MAX_UNPROVEN: { [Kind in keyof Verified]: number } = { payment: 100, submission: 20 }
/** The most inputs of the transaction and its unproven ancestors together. */
const MAX_INPUTS = 1000
/** The most blocks that proofs lead to. */
const MAX_BLOCKS = 200
const MAX_SCRIPT_MEMORY_BYTES = 1024 * 1024
const MAX_REASON_CHARACTERS = 200
const MAX_PAYMENT_OUTPUTS = 2000

class Invalid extends Error {}

/** Block headers could not be read, so it is unknown whether a proof is valid. */
export class HeadersUnavailable extends Error {}

/** The phases of a verification. Each has its own time limit. */
export type Phase = 'transaction' | 'headers' | 'scripts'

type OnPhase = (phase: Phase) => void

/**
 * The verification of each kind. A payment is an AtomicBEEF (BRC-95); a submission is any BEEF, of
 * which the last transaction counts.
 */
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
        if (transaction.outputs.length > MAX_PAYMENT_OUTPUTS)
          throw new Invalid(`it has more than ${MAX_PAYMENT_OUTPUTS} outputs`)
        if (!unproven.every(isFinal))
          throw new Invalid('it, or one that it rests on, is not final yet')
        // Unrelated transactions in the BEEF must be valid too: payees' wallets check all of it.
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
    // The SDK would check proofs between scripts, which may be slow on purpose.
    if (headers !== 'scripts only') await checkProofs(proven, headers)
    await check(beef, transaction, unproven)
    onPhase('scripts')
    if (!(await transaction.verify(headers, undefined, MAX_SCRIPT_MEMORY_BYTES)))
      throw new Invalid('a script does not unlock what it spends, or more is paid than is there')
    return { verified: describe(transaction, unproven, headers) }
  } catch (error) {
    if (error instanceof HeadersUnavailable) return { unavailable: error.message }
    // The SDK's messages may hold whole script stacks.
    return { invalid: (error as Error).message.slice(0, MAX_REASON_CHARACTERS) }
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
  // With 'scripts only', a transaction with a proof is not verified: its spends do not count.
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

/** Reads one BEEF with nothing after it, and links its transactions. */
function parse(bytes: Uint8Array, atomic: boolean): { beef: Beef; transaction: Transaction } {
  const reader = new Utils.ReaderUint8Array(bytes)
  const beef = Beef.fromReader(reader)
  if (atomic && beef.atomicTxid === undefined) throw new Invalid('it is no AtomicBEEF')
  if (!reader.eof())
    throw new Invalid(`there are bytes after the ${atomic ? 'AtomicBEEF' : 'BEEF'}`)
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

/**
 * Links each transaction to its proof or to the transactions it spends. The SDK's own method
 * follows every path between transactions, of which there may be 2^100.
 */
function link(beef: Beef): void {
  for (const { tx, bumpIndex } of beef.txs) {
    if (tx === undefined) continue
    if (bumpIndex !== undefined) tx.merklePath = beef.bumps[bumpIndex]
    else
      for (const input of tx.inputs) input.sourceTransaction = beef.findTxid(input.sourceTXID!)?.tx
  }
}

/** Whether no other transaction can replace it before its lock time. */
function isFinal({ lockTime, inputs }: Transaction): boolean {
  return lockTime === 0 || inputs.every(({ sequence }) => sequence === 0xffffffff)
}

/**
 * The transaction and its ancestors, down to those that have a proof. `Transaction.verify` runs the
 * scripts of the unproven ones.
 */
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

/** Checks all proofs at once, since each lookup may be slow. */
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
 * Rejects outputs that are spent twice, by two inputs of one transaction or of two, which
 * `Transaction.verify` does not notice; and missing outputs, which it notices only after scripts.
 */
function checkInputs(transactions: Transaction[]): void {
  const spent = new Set<string>()
  for (const { inputs } of transactions) {
    for (const { sourceTXID, sourceTransaction, sourceOutputIndex, unlockingScript } of inputs) {
      // Nodes accept no other script here. What it pushes is limited by its length.
      if (unlockingScript?.isPushOnly() === false)
        throw new Invalid('an unlocking script does more than push data')
      if (sourceTransaction?.outputs[sourceOutputIndex] === undefined)
        throw new Invalid('an output that it or an ancestor spends is missing')
      const outpoint = `${sourceTXID ?? sourceTransaction?.id('hex') ?? ''}.${sourceOutputIndex}`
      if (spent.has(outpoint)) throw new Invalid(`it spends ${outpoint} twice`)
      spent.add(outpoint)
      if (spent.size > MAX_INPUTS)
        throw new Invalid(`it rests on more than ${MAX_INPUTS} inputs without a proof`)
    }
  }
}
