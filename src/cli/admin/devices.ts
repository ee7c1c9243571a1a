import { createDeviceStore, maskToken } from '../../db/devices'
import type { IdentityKey } from '../../contract/protocol'
import { count, printable, table, time } from '../wording'
import { withDatabase, type Outcome } from './command'

/** The devices of an identity. */
export async function devices(identityKey: IdentityKey): Promise<Outcome> {
  return await withDatabase(async ({ knex }) => {
    const shown = (await createDeviceStore(knex).list(identityKey)).map(
      ({ id, deviceId, platform, fcmToken, active, createdAt, lastUsed }) => {
        return {
          id,
          deviceId,
          platform,
          fcmToken: maskToken(fcmToken),
          active,
          createdAt: time(createdAt)!,
          lastUsed: time(lastUsed)!,
        }
      },
    )
    const rows = shown.map(({ id, deviceId, platform, fcmToken, createdAt, lastUsed }) => [
      String(id),
      printable(deviceId ?? '-'),
      platform ?? '-',
      printable(fcmToken),
      createdAt,
      lastUsed,
    ])
    return {
      json: { identityKey, devices: shown },
      text: [
        `${identityKey} has ${count(shown.length, 'device')}`,
        ...(rows.length === 0
          ? []
          : [
              table([
                ['NUMBER', 'DEVICE', 'PLATFORM', 'TOKEN', 'REGISTERED', 'LAST USED'],
                ...rows,
              ]),
            ]),
      ].join('\n'),
    }
  })
}
