/**
 * Splits a verified BEEF (BRC-62) into proofs and transactions, as bytes. Does not parse them: the
 * SDK computes a proof's root for each leaf, which takes seconds for some proofs of attackers.
 */
import { createHash } from 'node:crypto'
import { readVarint, writeVarint } from '../lib/varint'

const VERSION = Buffer.from('0100beef', 'hex')
/** A leaf that is computed from those below it has no hash. */
const COMPUTED = 1

interface BeefTransaction {
  txid: string
  raw: Buffer
  /** The index of its proof; undefined if it has none. */
  proof: number | undefined
}

export interface BeefParts {
  proofs: Buffer[]
  transactions: BeefTransaction[]
}

/** @throws RangeError if the bytes are not a BEEF of version 1 */
export function splitBeef(beef: Buffer): BeefParts {
  const reader = new Reader(beef)
  if (!reader.take(VERSION.length).equals(VERSION))
    throw new RangeError('This is not a BEEF of version 1')
  const proofs = reader.times(() =>
    reader.slice(() => {
      skipProof(reader)
    }),
  )
  const transactions = reader.times(() => {
    const raw = reader.slice(() => {
      skipTransaction(reader)
    })
    const proof = reader.take(1)[0] === 0 ? undefined : reader.number()
    return { txid: sha256(sha256(raw)).reverse().toString('hex'), raw, proof }
  })
  return { proofs, transactions }
}

export function joinBeef({ proofs, transactions }: BeefParts): Buffer {
  const ends = transactions.flatMap(({ raw, proof }) => [
    raw,
    ...(proof === undefined ? [Buffer.from([0])] : [Buffer.from([1]), writeVarint(proof)]),
  ])
  return Buffer.concat([
    VERSION,
    writeVarint(proofs.length),
    ...proofs,
    writeVarint(transactions.length),
    ...ends,
  ])
}

/** A BUMP (BRC-74). */
function skipProof(reader: Reader): void {
  reader.number()
  const [height] = reader.take(1)
  for (let level = 0; level < height!; level++) {
    reader.times(() => {
      reader.number()
      const [flags] = reader.take(1)
      if ((flags! & COMPUTED) === 0) reader.take(32)
    })
  }
}

function skipTransaction(reader: Reader): void {
  reader.take(4)
  reader.times(() => {
    reader.take(36)
    reader.take(reader.number())
    reader.take(4)
  })
  reader.times(() => {
    reader.take(8)
    reader.take(reader.number())
  })
  reader.take(4)
}

class Reader {
  #at = 0

  constructor(private readonly bytes: Buffer) {}

  take(length: number): Buffer {
    if (this.#at + length > this.bytes.length) throw new RangeError('The BEEF ends too early')
    return this.bytes.subarray(this.#at, (this.#at += length))
  }

  number(): number {
    const read = readVarint(this.bytes.subarray(this.#at, this.#at + 5))
    if (read === undefined) throw new RangeError('The BEEF has an invalid number')
    this.#at += read.end
    return read.value
  }

  times<T>(read: () => T): T[] {
    const list: T[] = []
    for (let left = this.number(); left > 0; left--) list.push(read())
    return list
  }

  slice(skip: () => void): Buffer {
    const start = this.#at
    skip()
    return this.bytes.subarray(start, this.#at)
  }
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}
