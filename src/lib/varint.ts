/** Bitcoin's variable-length integers up to 2^32 - 1, which covers every length and index. */

/** @returns undefined if the bytes do not begin with a number of at most 32 bits */
export function readVarint(bytes: Buffer): { value: number; end: number } | undefined {
  const first = bytes[0]
  if (first === undefined || first === 0xff) return undefined
  const width = first === 0xfd ? 2 : first === 0xfe ? 4 : 0
  if (bytes.length < 1 + width) return undefined
  return { value: width === 0 ? first : bytes.readUIntLE(1, width), end: 1 + width }
}

export function writeVarint(value: number): Buffer {
  if (value < 0xfd) return Buffer.from([value])
  if (value <= 0xffff) {
    const bytes = Buffer.from([0xfd, 0, 0])
    bytes.writeUInt16LE(value, 1)
    return bytes
  }
  const bytes = Buffer.from([0xfe, 0, 0, 0, 0])
  bytes.writeUInt32LE(value, 1)
  return bytes
}
