import { randomBytes } from 'node:crypto'
import { NativeServerKey } from '../../auth/serverKey'
import type { DatabaseConfig } from '../../config'
import { createKnex } from '../../db/engine/knex'
import { hasPrices } from '../../db/maintenance/inspection'
import { HANDSHAKE_PATH } from '../../contract/protocol'
import { Secret } from '../../lib/secret'
import { address, foreign } from '../wording'
import type { Report } from './finding'
import type { Subject } from './check'
import { hasPricesOnSqlite } from './sqlite'
import { ask, type Answer } from './web'

export async function checkServices(subject: Subject, report: Report): Promise<void> {
  const { chaintracksUrl, arcUrl } = subject.config.payments
  if (chaintracksUrl === undefined || arcUrl === undefined)
    report.ok('no-payments', 'Payments are off: this network has no services for them here.')
  else {
    // Recipients may charge at any time. As long as none does, a missing service is only a warning.
    const miss = (await areNeeded(subject)) ? report.problem : report.warning
    await Promise.all([
      checkChaintracks(chaintracksUrl, report, miss),
      checkArc(arcUrl, subject, report, miss),
    ])
  }
  await checkStorage(subject, report)
}

type Miss = Report['problem']

/** If prices cannot be read, the database check says why. */
async function areNeeded({ config, broken }: Subject): Promise<boolean> {
  const { deliveryFees, db } = config
  if (Object.keys(deliveryFees).length > 0) return true
  if (broken.has('KNEX_DB_CONNECTION')) return false
  try {
    return db.client === 'mysql2'
      ? await hasPricesOnMysql(db)
      : hasPricesOnSqlite(String(db.connection.filename))
  } catch {
    return false
  }
}

async function hasPricesOnMysql(db: DatabaseConfig): Promise<boolean> {
  const knex = createKnex(db)
  try {
    return await hasPrices(knex)
  } finally {
    await knex.destroy()
  }
}

async function checkChaintracks(url: string, report: Report, miss: Miss): Promise<void> {
  const advice =
    'Correct CHAINTRACKS_URL, or let this machine reach it. ' +
    'Until then the server rejects messages that have a price.'
  const answer = await tryToAsk(`${url}/getPresentHeight`)
  if (answer instanceof Error)
    miss(
      'chaintracks',
      `Chaintracks does not answer at ${address(url)}: ${answer.message}.`,
      advice,
    )
  else if (answer.json.status !== 'success')
    miss(
      'chaintracks',
      `The server at ${address(url)} is not Chaintracks (${answer.status}).`,
      advice,
    )
  else
    report.ok(
      'chaintracks',
      `Chaintracks answers at ${address(url)}: block ${foreign(answer.json.value)}.`,
    )
}

async function checkArc(
  url: string,
  { config }: Subject,
  report: Report,
  miss: Miss,
): Promise<void> {
  const { arcApiKey } = config.payments
  const answer = await tryToAsk(
    `${url}/v1/policy`,
    arcApiKey === undefined ? {} : { headers: { authorization: `Bearer ${arcApiKey.reveal()}` } },
  )
  const advice =
    'Correct ARC_URL, or let this machine reach it. ' +
    'Until then the server rejects messages that have a price.'
  if (answer instanceof Error)
    miss('arc', `ARC does not answer at ${address(url)}: ${answer.message}.`, advice)
  else if (answer.status === 401 || answer.status === 403)
    miss(
      'arc-key',
      `ARC at ${address(url)} rejects the key (${answer.status}).`,
      'Set the right ARC_API_KEY.',
    )
  else if (answer.status !== 200)
    miss('arc', `The server at ${address(url)} is not ARC, or fails (${answer.status}).`, advice)
  else report.ok('arc', `ARC answers at ${address(url)}.`)
}

/** A storage answers a handshake, as every BRC-104 server does. */
async function checkStorage({ config, broken }: Subject, report: Report): Promise<void> {
  const { url: storageUrl } = config.walletStorage
  if (storageUrl === undefined || broken.has('WALLET_STORAGE_URL')) return
  const { identityKey } = new NativeServerKey(new Secret(randomBytes(32).toString('hex')))
  const answer = await tryToAsk(`${new URL(storageUrl).origin}${HANDSHAKE_PATH}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      version: '0.1',
      messageType: 'initialRequest',
      identityKey,
      initialNonce: randomBytes(48).toString('base64'),
    }),
  })
  const advice =
    'Correct WALLET_STORAGE_URL, or let this machine reach it. ' +
    'Until then payments to the server wait in the table "payments".'
  if (answer instanceof Error)
    report.problem(
      'wallet-storage',
      `The wallet's storage does not answer at ${address(storageUrl)}: ${answer.message}.`,
      advice,
    )
  else if (typeof answer.json.initialNonce !== 'string')
    report.problem(
      'wallet-storage',
      `The server at ${address(storageUrl)} is not a wallet storage (${answer.status}).`,
      advice,
    )
  else report.ok('wallet-storage', `The wallet's storage answers at ${address(storageUrl)}.`)
}

async function tryToAsk(url: string, init?: RequestInit): Promise<Answer | Error> {
  return await ask(url, init).catch((error: Error) => error)
}
