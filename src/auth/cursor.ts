import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { IdentityKey } from '../contract/protocol'

/** The part of the identity key that a cursor contains. */
const OWNER_BYTES = 8
const BLOCK_BYTES = 16
const CIPHER = 'aes-256-ecb'

/**
 * Seals the place of a message into a cursor, so that a client learns nothing from it about the
 * messages of others. A cursor is one block: a part of its owner's identity key, then the row id.
 */
export class CursorSealer {
  /** @param key 32 bytes; see `deriveSealingKey` */
  constructor(private readonly key: Buffer) {}

  /** @returns 22 characters of URL-safe base64 */
  seal(owner: IdentityKey, rowId: number): string {
    const block = Buffer.alloc(BLOCK_BYTES)
    ownerPart(owner).copy(block)
    block.writeBigUInt64BE(BigInt(rowId), OWNER_BYTES)
    return createCipheriv(CIPHER, this.key, null)
      .setAutoPadding(false)
      .update(block)
      .toString('base64url')
  }

  /** @returns the row id; undefined if the text is no cursor of this owner */
  open(owner: IdentityKey, cursor: string): number | undefined {
    const sealed = Buffer.from(cursor, 'base64url')
    if (sealed.length !== BLOCK_BYTES) return undefined
    const block = createDecipheriv(CIPHER, this.key, null).setAutoPadding(false).update(sealed)
    if (!block.subarray(0, OWNER_BYTES).equals(ownerPart(owner))) return undefined
    return Number(block.readBigUInt64BE(OWNER_BYTES))
  }
}

function ownerPart(owner: IdentityKey): Buffer {
  // The first byte of every key is 2 or 3.
  return Buffer.from(owner, 'hex').subarray(1, 1 + OWNER_BYTES)
}
