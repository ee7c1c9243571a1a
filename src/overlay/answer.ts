/** An answer of the lookup service in its two forms. */
import type { FoundAdvertisement } from '../db/advertisements'
import { loadSdk } from './sdk'
import { writeVarInt } from './varInt'

/** The usual form: each output with its own BEEF, as an array of bytes. */
export function toOutputList (found: FoundAdvertisement[]): object {
  return { type: 'output-list', outputs: found.map(({ beef, outputIndex }) => ({ beef: [...beef], outputIndex })) }
}

/**
 * The binary form, which the SDK's resolver asks for: how many outputs there are, each as its transaction's id, its
 * index and the length of its context, which is none; then one BEEF with all of the transactions.
 */
export function toBinary (found: FoundAdvertisement[]): Buffer {
  const outputs = found.flatMap(({ txid, outputIndex }) => [Buffer.from(txid, 'hex'), writeVarInt(outputIndex), writeVarInt(0)])
  return Buffer.concat([writeVarInt(found.length), ...outputs, mergeBeef(found)])
}

function mergeBeef (found: FoundAdvertisement[]): Uint8Array {
  if (found.length < 2) return found[0]?.beef ?? Buffer.alloc(0)
  const { Beef } = loadSdk()
  const merged = new Beef()
  for (const { beef } of found) merged.mergeBeef(beef)
  return merged.toUint8Array()
}
