/** The two forms of an answer of the lookup service. */
import type { FoundAdvertisement } from '../db/advertisements'
import { joinBeef, splitBeef, type BeefParts } from './beef'
import { writeVarint } from '../lib/varint'

/** JSON: each output with its own BEEF, as an array of bytes. */
export function toOutputList(found: FoundAdvertisement[]): Buffer {
  // Far faster than JSON.stringify of an array: nothing in it needs quotes.
  const outputs = found.map(
    ({ beef, outputIndex }) => `{"beef":[${beef.join(',')}],"outputIndex":${outputIndex}}`,
  )
  return Buffer.from(`{"type":"output-list","outputs":[${outputs.join(',')}]}`, 'latin1')
}

/**
 * The binary form, which the SDK's resolver requests. It has the number of outputs; for each output
 * the transaction id, the index and the length of its context, 0; then one BEEF of all
 * transactions.
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
 * All transactions once, each with its own proof. The SDK combines the proofs of one block, which
 * is slow and fails for some proofs that an attacker can make. The oldest transaction comes first:
 * the SDK takes the first proof that names a transaction, so a later proof cannot replace it.
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
