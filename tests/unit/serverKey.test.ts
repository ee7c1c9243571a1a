import { describe, expect, test } from '@jest/globals'
import { BigNumber, PrivateKey, ProtoWallet, Signature, type WalletProtocol } from '@bsv/sdk'
import fc from 'fast-check'
import { createHash, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import {
  invoiceNumber,
  NativeServerKey,
  usesNativeSecp256k1,
  type KeyName,
} from '../../src/auth/serverKey'
import { Secret } from '../../src/lib/secret'

interface Pair {
  native: NativeServerKey
  proto: ProtoWallet
  identityKey: string
}

function pair(key: PrivateKey): Pair {
  const hex = key.toString(16).padStart(64, '0')
  return {
    native: new NativeServerKey(new Secret(hex)),
    proto: new ProtoWallet(key),
    identityKey: key.toPublicKey().toString(),
  }
}

const CURVE_ORDER = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141'

const privateKeys = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'))
  .filter((hex) => BigInt(`0x${hex}`) > 0n && hex < CURVE_ORDER)
  .map((hex) => PrivateKey.fromString(hex, 'hex'))

const words = fc.string({
  unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz0123456789'),
  minLength: 5,
  maxLength: 20,
})
const protocols = fc.tuple(
  fc.constantFrom(0, 1, 2),
  fc
    .tuple(words, words)
    .map((pair) => pair.join(' '))
    .filter((name) => !name.endsWith(' protocol')),
) as fc.Arbitrary<WalletProtocol>
// Any text, lone surrogates included: key ids are often random bytes read as UTF-8.
const keyIDs = fc.string({ unit: 'binary', minLength: 1, maxLength: 200 })
const data = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
const counterparties = fc.constantFrom('self', 'anyone', 'other')

const cases = fc
  .record({
    key: privateKeys,
    other: privateKeys,
    protocolID: protocols,
    keyID: keyIDs,
    data,
    whose: counterparties,
  })
  .map(({ key, other, protocolID, keyID, data, whose }) => {
    const theirs = pair(other)
    const name: KeyName = {
      protocolID,
      keyID,
      counterparty: whose === 'other' ? theirs.identityKey : (whose as 'self' | 'anyone'),
    }
    return {
      ours: pair(key),
      theirs,
      data,
      name,
      args: { protocolID, keyID, counterparty: name.counterparty },
    }
  })

const RUNS = { numRuns: 80 }

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}

describe('the server key and ProtoWallet agree on', () => {
  test('the native library, which these tests use', () => {
    expect(usesNativeSecp256k1).toBe(true)
  })

  test('identity and derived public keys', async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.boolean(), async ({ ours, name, args }, forSelf) => {
        expect(ours.native.identityKey).toBe(ours.identityKey)
        const { publicKey } = await ours.proto.getPublicKey({ ...args, forSelf })
        expect(ours.native.derivePublicKey(name, forSelf).toString('hex')).toBe(publicKey)
      }),
      RUNS,
    )
  })

  test('signatures, byte for byte', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ ours, name, args, data }) => {
        const { signature } = await ours.proto.createSignature({ ...args, data: [...data] })
        expect([...ours.native.signHash(sha256(data), name)]).toEqual(signature)
      }),
      RUNS,
    )
  })

  test('signatures of each other', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ ours, theirs, name, data }) => {
        const forThem: KeyName = { ...name, counterparty: theirs.identityKey }
        const forUs: KeyName = { ...name, counterparty: ours.identityKey }
        const { signature } = await theirs.proto.createSignature({
          ...forUs,
          protocolID: name.protocolID as WalletProtocol,
          data: [...data],
        })
        expect(ours.native.verifyHash(sha256(data), Buffer.from(signature), forThem)).toBe(true)
        const answer = [...ours.native.signHash(sha256(data), forThem)]
        await expect(
          theirs.proto.verifySignature({
            ...forUs,
            protocolID: name.protocolID as WalletProtocol,
            data: [...data],
            signature: answer,
          }),
        ).resolves.toEqual({ valid: true })
      }),
      RUNS,
    )
  })

  test('signatures with a flipped bit, which both reject', async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.nat(), async ({ ours, theirs, name, data }, bit) => {
        const forThem: KeyName = { ...name, counterparty: theirs.identityKey }
        const forUs = {
          ...name,
          protocolID: name.protocolID as WalletProtocol,
          counterparty: ours.identityKey,
        }
        const { signature } = await theirs.proto.createSignature({ ...forUs, data: [...data] })
        const place = bit % (signature.length * 8)
        signature[place >> 3]! ^= 1 << (place & 7)
        expect(ours.native.verifyHash(sha256(data), Buffer.from(signature), forThem)).toBe(false)
        await expect(
          ours.proto.verifySignature({
            ...forUs,
            counterparty: theirs.identityKey,
            data: [...data],
            signature,
          }),
        ).rejects.toThrow()
      }),
      RUNS,
    )
  })

  test('HMACs, created and verified', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ ours, name, args, data }) => {
        const { hmac } = await ours.proto.createHmac({ ...args, data: [...data] })
        const own = ours.native.createHmac(data, name)
        expect([...own]).toEqual(hmac)
        expect(ours.native.verifyHmac(data, Buffer.from(hmac), name)).toBe(true)
        own[0]! ^= 1
        expect(ours.native.verifyHmac(data, own, name)).toBe(false)
      }),
      RUNS,
    )
  })

  test('a shared key whose leading zero byte the SDK drops', async () => {
    const { native, proto } = pair(PrivateKey.fromString('11'.repeat(32), 'hex'))
    const name = {
      protocolID: [2, 'hello world'] as WalletProtocol,
      keyID: '391',
      counterparty: 'self',
    }
    expect(
      proto.keyDeriver!.deriveSymmetricKey(name.protocolID, name.keyID, 'self').toArray(),
    ).toHaveLength(31)
    const { hmac } = await proto.createHmac({ ...name, data: [1, 2, 3] })

    expect([...native.createHmac(Buffer.from([1, 2, 3]), name)]).toEqual(hmac)
  })

  test('signatures with the higher S value, which both accept', async () => {
    const ours = pair(PrivateKey.fromRandom())
    const theirs = pair(PrivateKey.fromRandom())
    const name = { protocolID: [2, 'auth message signature'] as WalletProtocol, keyID: '1' }
    const data = randomBytes(40)
    const { signature } = await theirs.proto.createSignature({
      ...name,
      counterparty: ours.identityKey,
      data: [...data],
    })
    const low = Signature.fromDER(signature)
    const high = new Signature(low.r, new BigNumber(CURVE_ORDER, 16).sub(low.s)).toDER() as number[]
    await expect(
      ours.proto.verifySignature({
        ...name,
        counterparty: theirs.identityKey,
        data: [...data],
        signature: high,
      }),
    ).resolves.toEqual({ valid: true })

    expect(
      ours.native.verifyHash(sha256(data), Buffer.from(high), {
        ...name,
        counterparty: theirs.identityKey,
      }),
    ).toBe(true)
  })
})

describe('invoice numbers', () => {
  test.each([
    ['an empty key id', [2, 'hello world'], ''],
    ['a key id of 801 characters', [2, 'hello world'], 'x'.repeat(801)],
    ['a level of 3', [3, 'hello world'], '1'],
    ['a short name', [2, 'four'], '1'],
    ['a long name', [2, 'x'.repeat(401)], '1'],
    ['two spaces in a row', [2, 'hello  world'], '1'],
    ['a dash', [2, 'hello-world'], '1'],
    ['a name that ends in "protocol"', [2, 'hello protocol'], '1'],
  ])('%s is rejected, as in the SDK', async (_name, protocolID, keyID) => {
    const proto = new ProtoWallet(PrivateKey.fromRandom())
    expect(() =>
      invoiceNumber({ protocolID, keyID, counterparty: 'self' } as unknown as KeyName),
    ).toThrow()
    await expect(
      proto.createHmac({ protocolID: protocolID as WalletProtocol, keyID, data: [1] }),
    ).rejects.toThrow()
  })
})

test('the private key is never printed', () => {
  const hex = randomBytes(32).toString('hex')
  const wallet = new NativeServerKey(new Secret(hex))
  const shown = [
    inspect(wallet, { depth: 9, showHidden: true }),
    JSON.stringify(wallet),
    String(wallet),
    inspect(new Secret(hex), { showHidden: true }),
    `${new Secret(hex).toString()}`,
  ]
  for (const text of shown) expect(text).not.toContain(hex.slice(0, 8))
})
