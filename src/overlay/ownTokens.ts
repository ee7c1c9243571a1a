/** The server's own advertisements in its wallet, and the transactions that make and spend them. */
import type { AtomicBEEF, SignableTransaction, Transaction, WalletInterface } from '@bsv/sdk'
import type { IdentityKey } from '../contract/protocol'
import { fieldsOf, KEY_ID, readToken, RECIPES, type TokenKind, type TokenRecipe } from './tokens'

/** The basket that the released clients use too. */
const BASKET = 'overlay advertisements'
const MAX_LISTED = 1000
/** A token's unlocking script is a signature. */
const UNLOCKING_BYTES = 73

/** Most servers never need the SDK here, so it is loaded at its first use. */
export function loadSdk(): typeof import('@bsv/sdk') {
  return require('@bsv/sdk') as typeof import('@bsv/sdk')
}

/** An unspent advertisement in the wallet. */
export interface OwnToken {
  kind: TokenKind
  host: string
  txid: string
  outputIndex: number
  /** Includes its ancestors. */
  transaction: Transaction
}

/** @returns all advertisements in the wallet, the oldest first */
export async function listTokens(
  wallet: WalletInterface,
  identityKey: IdentityKey,
): Promise<OwnToken[]> {
  const { Beef } = loadSdk()
  const { outputs, BEEF } = await wallet.listOutputs({
    basket: BASKET,
    include: 'entire transactions',
    limit: MAX_LISTED,
  })
  if (BEEF === undefined) return []
  const beef = Beef.fromBinary(BEEF)
  return outputs
    .filter(({ spendable }) => spendable)
    .flatMap(({ outpoint }) => {
      const [txid = '', index] = outpoint.split('.')
      const outputIndex = Number(index)
      const transaction = beef.findAtomicTransaction(txid)
      const token =
        transaction === undefined
          ? undefined
          : readToken(scriptOf(transaction, outputIndex), identityKey)
      return token === undefined ? [] : [{ ...token, txid, outputIndex, transaction: transaction! }]
    })
}

/** Creates one transaction that spends tokens of the wallet and makes others for a host. */
export async function exchangeTokens(
  wallet: WalletInterface,
  identityKey: IdentityKey,
  spent: OwnToken[],
  made: TokenRecipe[],
  host: string,
): Promise<Transaction> {
  const { Transaction } = loadSdk()
  const outputs = await Promise.all(
    made.map(async (recipe) => ({
      basket: BASKET,
      satoshis: 1,
      lockingScript: await lock(wallet, recipe, identityKey, host),
      outputDescription: `Advertisement for ${recipe.topic}`,
    })),
  )
  const { tx, signableTransaction } = await wallet.createAction({
    description: 'Advertisements of this server',
    ...(spent.length > 0 && {
      inputBEEF: mergeBeef(spent),
      inputs: spent.map(({ txid, outputIndex, kind }) => ({
        outpoint: `${txid}.${outputIndex}`,
        unlockingScriptLength: UNLOCKING_BYTES,
        inputDescription: `Advertisement for ${RECIPES[kind].topic}`,
      })),
    }),
    outputs,
    options: { randomizeOutputs: false, acceptDelayedBroadcast: false },
  })
  const whole = tx ?? (await sign(wallet, spent, signableTransaction!))
  return Transaction.fromAtomicBEEF(whole)
}

async function lock(
  wallet: WalletInterface,
  recipe: TokenRecipe,
  identityKey: IdentityKey,
  host: string,
): Promise<string> {
  const { PushDrop } = loadSdk()
  return (
    await new PushDrop(wallet).lock(
      fieldsOf(recipe, identityKey, host),
      recipe.protocolID,
      KEY_ID,
      'anyone',
      true,
    )
  ).toHex()
}

async function sign(
  wallet: WalletInterface,
  spent: OwnToken[],
  { tx, reference }: SignableTransaction,
): Promise<AtomicBEEF> {
  const { PushDrop, Transaction } = loadSdk()
  const partial = Transaction.fromAtomicBEEF(tx)
  const spends: Record<number, { unlockingScript: string }> = {}
  for (const [input, { kind, transaction, outputIndex }] of spent.entries()) {
    const { satoshis, lockingScript } = transaction.outputs[outputIndex]!
    const unlocker = new PushDrop(wallet).unlock(
      RECIPES[kind].protocolID,
      KEY_ID,
      'anyone',
      'all',
      false,
      satoshis,
      lockingScript,
    )
    spends[input] = { unlockingScript: (await unlocker.sign(partial, input)).toHex() }
  }
  const signed = await wallet.signAction({
    reference,
    spends,
    options: { acceptDelayedBroadcast: false },
  })
  if (signed.tx === undefined) throw new Error('the wallet returns no transaction')
  return signed.tx
}

function mergeBeef(tokens: OwnToken[]): number[] {
  const { Beef } = loadSdk()
  const merged = new Beef()
  for (const { transaction } of tokens) merged.mergeTransaction(transaction)
  return merged.toBinary()
}

export function scriptOf(transaction: Transaction, outputIndex: number): Buffer {
  return Buffer.from(transaction.outputs[outputIndex]?.lockingScript.toBinary() ?? [])
}
