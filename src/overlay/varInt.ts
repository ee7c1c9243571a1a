/** Bitcoin's variable-length integers, as far as a length or an index goes: up to 2^32 - 1. */

/** The number at the beginning of some bytes, and where it ends; undefined where there is none, or it is too large. */
export function readVarInt(bytes: Buffer): { value: number; end: number } | undefined {
  const first = bytes[0]
  if (first === undefined || first === 0xff) return undefined
  const width = first === 0xfd ? 2 : first === 0xfe ? 4 : 0
  if (bytes.length < 1 + width) return undefined
  return { value: width === 0 ? first : bytes.readUIntLE(1, width), end: 1 + width }
}

export function writeVarInt(value: number): Buffer {
  if (value < 0xfd) return Buffer.from([value])
  const width = value <= 0xffff ? 2 : 4
  const bytes = Buffer.from([width === 2 ? 0xfd : 0xfe, ...Buffer.alloc(width)])
  bytes.writeUIntLE(value, 1, width)
  return bytes
}
