/** Builds advertisements with the SDK, so that a test can change each part of them. */
import {
  HTTPSOverlayLookupFacilitator,
  P2PKH,
  PushDrop,
  Transaction,
  Utils,
  type LockingScript,
  type PrivateKey,
} from '@bsv/sdk'
import type { TestChain } from './chain'
import { protoWalletOf, publicKeyOf } from './keys'

const PROTOCOL: [1, string] = [1, 'messagebox advertisement']

export interface Advertising {
  host?: string
  /** The identity that the advertisement names, by default the signer. */
  identityKey?: string
}

export function identityOf(key: PrivateKey): string {
  return publicKeyOf(key).toString()
}

/** @returns the locking script of an advertisement */
export async function lockAdvertisement(
  signer: PrivateKey,
  { host = 'https://box.one', identityKey = identityOf(signer) }: Advertising = {},
): Promise<LockingScript> {
  const pushDrop = new PushDrop(protoWalletOf(signer) as never)
  return await pushDrop.lock(
    [Utils.toArray(identityKey, 'hex'), Utils.toArray(host, 'utf8')],
    PROTOCOL,
    '1',
    'anyone',
    true,
  )
}

/** Makes a transaction with an output of 1 satoshi for each script. It may spend advertisements. */
export async function makeTransaction(
  chain: TestChain,
  signer: PrivateKey,
  scripts: LockingScript[],
  {
    spends = [],
    funds = chain.mint(signer, 10_000),
  }: { spends?: Transaction[]; funds?: Transaction } = {},
): Promise<Transaction> {
  const transaction = new Transaction()
  const pushDrop = new PushDrop(protoWalletOf(signer) as never)
  for (const sourceTransaction of spends) {
    transaction.addInput({
      sourceTransaction,
      sourceOutputIndex: 0,
      unlockingScriptTemplate: pushDrop.unlock(PROTOCOL, '1', 'anyone'),
      sequence: 0xffffffff,
    })
  }
  transaction.addInput({
    sourceTransaction: funds,
    sourceOutputIndex: 0,
    unlockingScriptTemplate: new P2PKH().unlock(signer),
    sequence: 0xffffffff,
  })
  for (const lockingScript of scripts) transaction.addOutput({ satoshis: 1, lockingScript })
  transaction.addOutput({
    satoshis: 100,
    lockingScript: new P2PKH().lock(publicKeyOf(signer).toHash()),
  })
  await transaction.sign()
  return transaction
}

/** Makes a transaction that anoints a host in its first output. */
export async function anoint(
  chain: TestChain,
  signer: PrivateKey,
  host?: string,
  spends: Transaction[] = [],
): Promise<Transaction> {
  return await makeTransaction(
    chain,
    signer,
    [await lockAdvertisement(signer, { ...(host !== undefined && { host }) })],
    { spends },
  )
}

export interface OverlayAnswer {
  status: number
  headers: Headers
  body: Record<string, unknown>
}

export async function submit(
  origin: string,
  beef: Uint8Array | number[],
  headers: Record<string, string> = {},
): Promise<OverlayAnswer> {
  const response = await fetch(`${origin}/submit`, {
    method: 'POST',
    headers: {
      'content-type': 'application/octet-stream',
      'x-topics': '["tm_messagebox"]',
      ...headers,
    },
    body: Uint8Array.from(beef),
  })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  }
}

export async function lookup(origin: string, body: unknown): Promise<OverlayAnswer> {
  const response = await fetch(`${origin}/lookup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  }
}

/**
 * @returns the outpoints that a query finds
 * @throws Error if the two forms of the answer differ
 */
export async function find(origin: string, query: object): Promise<string[]> {
  const question = { service: 'ls_messagebox', query }
  const plain = (await lookup(origin, question)).body as unknown as Awaited<
    ReturnType<HTTPSOverlayLookupFacilitator['lookup']>
  >
  const binary = await new HTTPSOverlayLookupFacilitator(fetch, true).lookup(origin, question)
  const [outpoints, others] = [plain, binary].map(({ outputs }) =>
    outputs.map(
      ({ beef, outputIndex }) => `${Transaction.fromBEEF(beef).id('hex')}.${outputIndex}`,
    ),
  )
  if (JSON.stringify(outpoints) !== JSON.stringify(others))
    throw new Error(`The answers differ: ${JSON.stringify({ outpoints, others })}`)
  return outpoints!
}

/** @returns the answer of the topic to a submission */
export function steak(outputsToAdmit: number[], coinsRemoved: number[] = []): object {
  return { tm_messagebox: { outputsToAdmit, coinsToRetain: [], coinsRemoved } }
}
