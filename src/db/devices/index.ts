/** The table of devices. A registration belongs to an identity and a token. */
import { createHash } from 'node:crypto'
import type { Knex } from 'knex'
import type { DeviceRegistration, IdentityKey, Page } from '../../contract/protocol'
import { QUERY_TIMEOUT_MS } from '../engine/dialect'
import { query } from '../engine/query'

/** How many devices an identity may have. Registering one more removes the longest unused one. */
export const MAX_DEVICES = 100
const ALL: Page = { limit: MAX_DEVICES, offset: 0 }

/** Times are milliseconds since 1970. */
export interface Device extends DeviceRegistration {
  id: number
  active: boolean
  createdAt: number
  updatedAt: number
  lastUsed: number
}

/** All errors are from the catalogue. */
export interface DeviceStore {
  /** Registers a device, or updates its registration. @returns the number of its row */
  register: (identityKey: IdentityKey, device: DeviceRegistration) => Promise<number>
  /** An identity's devices, the last updated first. Default: all of them. */
  list: (identityKey: IdentityKey, page?: Page) => Promise<Device[]>
  /** @returns false if there is no such device */
  unregister: (identityKey: IdentityKey, fcmToken: string) => Promise<boolean>
  /** Stops pushing to a device, unless it was registered again since it was listed. */
  deactivate: (device: Device) => Promise<void>
  markUsed: (device: Device) => Promise<void>
}

/** How many characters of a token are shown: with the whole token one can write to the device. */
const SHOWN_TOKEN_CHARACTERS = 10

export function maskToken(fcmToken: string): string {
  return `...${fcmToken.slice(-SHOWN_TOKEN_CHARACTERS)}`
}

export function createDeviceStore(knex: Knex): DeviceStore {
  return {
    register: async (identityKey, device) =>
      await query(
        'register device',
        async () => await register(knex, identityKey, device, Date.now()),
      ),
    list: async (identityKey, page = ALL) =>
      await query('list devices', async () => await list(knex, identityKey, page)),
    unregister: async (identityKey, fcmToken) =>
      await query(
        'unregister device',
        async () =>
          (await knex('devices')
            .where(keyOf(identityKey, fcmToken))
            .delete()
            .timeout(QUERY_TIMEOUT_MS)) > 0,
      ),
    deactivate: async ({ id, updatedAt }) =>
      await query('deactivate device', async () => {
        await knex('devices')
          .where({ id, updated_at: updatedAt })
          .update({ active: false, updated_at: Date.now() })
          .timeout(QUERY_TIMEOUT_MS)
      }),
    markUsed: async ({ id }) =>
      await query('mark device', async () => {
        await knex('devices')
          .where({ id })
          .update({ last_used: Date.now() })
          .timeout(QUERY_TIMEOUT_MS)
      }),
  }
}

async function register(
  knex: Knex,
  identityKey: IdentityKey,
  { fcmToken, deviceId, platform }: DeviceRegistration,
  now: number,
): Promise<number> {
  const key = keyOf(identityKey, fcmToken)
  // In one transaction, because another request may remove the device at the same time.
  const id = await knex.transaction(async (trx) => {
    await trx('devices')
      .insert({
        ...key,
        fcm_token: fcmToken,
        device_id: deviceId,
        platform,
        active: true,
        created_at: now,
        updated_at: now,
        last_used: now,
      })
      .onConflict(['identity_key', 'token_hash'])
      .merge(['device_id', 'platform', 'active', 'updated_at', 'last_used'])
      .timeout(QUERY_TIMEOUT_MS)
    // Firebase sometimes gives a device a new token. Without this, it would get every push twice.
    if (deviceId !== null) {
      await trx('devices')
        .where({ identity_key: identityKey, device_id: deviceId, platform })
        .whereNot({ token_hash: key.token_hash })
        .delete()
        .timeout(QUERY_TIMEOUT_MS)
    }
    const row = await trx('devices').first('id').where(key).timeout(QUERY_TIMEOUT_MS)
    return Number(row.id)
  })
  await removeSurplus(knex, identityKey)
  return id
}

async function removeSurplus(knex: Knex, identityKey: IdentityKey): Promise<void> {
  const rows = await knex('devices')
    .select('id')
    .where({ identity_key: identityKey })
    .orderBy([
      { column: 'last_used', order: 'desc' },
      { column: 'id', order: 'desc' },
    ])
    .offset(MAX_DEVICES)
    .limit(MAX_DEVICES)
    .timeout(QUERY_TIMEOUT_MS)
  if (rows.length > 0)
    await knex('devices')
      .whereIn(
        'id',
        rows.map(({ id }) => id),
      )
      .delete()
      .timeout(QUERY_TIMEOUT_MS)
}

async function list(
  knex: Knex,
  identityKey: IdentityKey,
  { limit, offset }: Page,
): Promise<Device[]> {
  const rows = await knex('devices')
    .select('*')
    .where({ identity_key: identityKey })
    .orderBy([
      { column: 'updated_at', order: 'desc' },
      { column: 'id', order: 'desc' },
    ])
    .limit(limit)
    .offset(offset)
    .timeout(QUERY_TIMEOUT_MS)
  return rows.map((row) => ({
    id: Number(row.id),
    fcmToken: row.fcm_token,
    deviceId: row.device_id,
    platform: row.platform,
    active: Boolean(row.active),
    createdAt: Number(row.created_at),
    updatedAt: Number(row.updated_at),
    lastUsed: Number(row.last_used),
  }))
}

function keyOf(
  identityKey: IdentityKey,
  fcmToken: string,
): { identity_key: string; token_hash: string } {
  return {
    identity_key: identityKey,
    token_hash: createHash('sha256').update(fcmToken).digest('hex'),
  }
}
