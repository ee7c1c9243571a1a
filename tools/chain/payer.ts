/** Builds payments with the SDK, so that a test can change each part of them. */
import { P2PKH, ProtoWallet, PublicKey, Transaction, type PrivateKey } from '@bsv/sdk'
import { randomBytes } from 'node:crypto'
import type { TestChain } from './chain'
import { protoWalletOf, publicKeyOf } from './keys'

export const ANYONE = '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'

interface PaymentOutput {
  outputIndex: number
  protocol: string
  paymentRemittance: {
    derivationPrefix: string
    derivationSuffix: string
    senderIdentityKey: string
  }
  insertionRemittance?: object
  customInstructions?: unknown
}

/** An output to create: its amount and its payee. */
export interface Due {
  satoshis: number
  payee: string
  /** The sender's side of the key: the payer for the server, "anyone" for recipients. */
  from: 'payer' | 'anyone'
}

export interface MadePayment {
  transaction: Transaction
  payment: { tx: number[]; outputs: PaymentOutput[]; description: string }
}

/** Makes a signed transaction with these outputs. It spends an output that is in a block. */
export async function pay(
  chain: TestChain,
  key: PrivateKey,
  dues: Due[],
  {
    funds = chain.mint(key, 10_000),
    spend = [funds],
  }: { funds?: Transaction; spend?: Transaction[] } = {},
): Promise<MadePayment> {
  const transaction = new Transaction()
  for (const sourceTransaction of spend) {
    transaction.addInput({
      sourceTransaction,
      sourceOutputIndex: 0,
      unlockingScriptTemplate: new P2PKH().unlock(key),
      sequence: 0xffffffff,
    })
  }
  const outputs: PaymentOutput[] = []
  for (const [outputIndex, { satoshis, payee, from }] of dues.entries()) {
    const derivationPrefix = randomBytes(16).toString('base64')
    const derivationSuffix = randomBytes(16).toString('base64')
    const wallet = from === 'anyone' ? new ProtoWallet('anyone') : protoWalletOf(key)
    const { publicKey } = await wallet.getPublicKey({
      protocolID: [2, '3241645161d8'],
      keyID: `${derivationPrefix} ${derivationSuffix}`,
      counterparty: payee,
    })
    transaction.addOutput({
      satoshis,
      lockingScript: new P2PKH().lock(PublicKey.fromString(publicKey).toHash()),
    })
    const senderIdentityKey = from === 'anyone' ? ANYONE : publicKeyOf(key).toString()
    outputs.push({
      outputIndex,
      protocol: 'wallet payment',
      paymentRemittance: { derivationPrefix, derivationSuffix, senderIdentityKey },
    })
  }
  await transaction.sign()
  return {
    transaction,
    payment: { tx: transaction.toAtomicBEEF(), outputs, description: 'A payment' },
  }
}
