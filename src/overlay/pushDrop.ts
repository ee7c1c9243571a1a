/**
 * Reads the fields of a PushDrop locking script (BRC-48): a public key, OP_CHECKSIG, the fields,
 * and one drop for each field.
 * @returns undefined for any other script
 */
export function decodePushDrop(script: Buffer): Buffer[] | undefined {
  const key = readPush(script, 0)
  if (key?.data.length !== KEY_BYTES || script[key.end] !== OP_CHECKSIG) return undefined
  const fields: Buffer[] = []
  let at = key.end + 1
  for (let push = readPush(script, at); push !== undefined; push = readPush(script, at)) {
    fields.push(push.data)
    at = push.end
  }
  return fields.length > 0 && script.subarray(at).equals(drops(fields.length)) ? fields : undefined
}

const KEY_BYTES = 33
const [OP_PUSHDATA1, OP_PUSHDATA2, OP_PUSHDATA4, OP_2DROP, OP_DROP, OP_CHECKSIG] = [
  0x4c, 0x4d, 0x4e, 0x6d, 0x75, 0xac,
]

function drops(count: number): Buffer {
  return Buffer.from([
    ...Array.from({ length: count >> 1 }, () => OP_2DROP),
    ...(count % 2 === 1 ? [OP_DROP] : []),
  ])
}

/** @returns the pushed bytes and the offset of the next operation; undefined if it is not a push */
function readPush(script: Buffer, at: number): { data: Buffer; end: number } | undefined {
  const op = script[at] ?? 0
  const width = op === OP_PUSHDATA1 ? 1 : op === OP_PUSHDATA2 ? 2 : op === OP_PUSHDATA4 ? 4 : 0
  if (op === 0 || op > OP_PUSHDATA4 || at + 1 + width > script.length) return undefined
  const start = at + 1 + width
  const end = start + (width === 0 ? op : script.readUIntLE(at + 1, width))
  return end > script.length ? undefined : { data: script.subarray(start, end), end }
}
