/** An answer of the lookup service in its two forms. */
import type { FoundAdvertisement } from '../db/advertisements'
import { joinBeef, splitBeef, type BeefParts } from './beef'
import { writeVarint } from '../lib/varint'

/** The usual form, in JSON: each output with its own BEEF, as an array of bytes. */
export function toOutputList(found: FoundAdvertisement[]): Buffer {
  // Far faster than an array for each, since nothing in it needs quotes.
  const outputs = found.map(
    ({ beef, outputIndex }) => `{"beef":[${beef.join(',')}],"outputIndex":${outputIndex}}`,
  )
  return Buffer.from(`{"type":"output-list","outputs":[${outputs.join(',')}]}`, 'latin1')
}

/**
 * The binary form, which the SDK's resolver asks for: how many outputs there are, each as its transaction's id, its
 * index and the length of its context, which is none; then one BEEF with all of the transactions.
 */
export function toBinary(found: FoundAdvertisement[]): Buffer {
  const outputs = found.flatMap(({ txid, outputIndex }) => [
    Buffer.from(txid, 'hex'),
    writeVarint(outputIndex),
    writeVarint(0),
  ])
  return Buffer.concat([writeVarint(found.length), ...outputs, mergeBeef(found)])
}

/**
 * All transactions once, each with the proof that it came with. Proofs of one block are not combined, as the SDK would:
 * it takes long, and fails for some that strangers can make. The oldest stand first, since whoever reads takes the first
 * proof that names a transaction: a later one cannot put itself before it.
 */
function mergeBeef(found: FoundAdvertisement[]): Buffer {
  if (found.length < 2) return found[0]?.beef ?? Buffer.alloc(0)
  const merged: BeefParts = { proofs: [], transactions: [] }
  const known = new Set<string>()
  for (const { txid, beef } of [...found].reverse()) {
    if (known.has(txid)) continue
    const { proofs, transactions } = splitBeef(beef)
    const first = merged.proofs.length
    merged.proofs.push(...proofs)
    for (const transaction of transactions) {
      if (known.has(transaction.txid)) continue
      known.add(transaction.txid)
      merged.transactions.push({
        ...transaction,
        proof: transaction.proof === undefined ? undefined : first + transaction.proof,
      })
    }
  }
  return joinBeef(merged)
}
