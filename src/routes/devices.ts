import { maskToken, type Device, type DeviceStore } from '../db/devices'
import { parseDevice, parseDevicesQuery, parseToken } from '../push/requests'
import type { Fields } from '../contract/primitives'
import type { Operation } from './route'

/** POST /registerDevice: a device of the caller's. */
export function registerDevice(devices: DeviceStore): Operation {
  return async ({ identityKey }, request) => {
    const deviceId = await devices.register(identityKey, parseDevice(request))
    return { status: 'success', message: 'The device is registered.', deviceId }
  }
}

/** GET /devices: the caller's devices, the one that was updated last first. */
export function listDevices(devices: DeviceStore): Operation {
  return async ({ identityKey }, query) => ({
    status: 'success',
    devices: (await devices.list(identityKey, parseDevicesQuery(query as Fields))).map(show),
  })
}

/** POST /unregisterDevice: forgets a device of the caller's. */
export function unregisterDevice(devices: DeviceStore): Operation {
  return async ({ identityKey }, request) => {
    const found = await devices.unregister(identityKey, parseToken(request))
    return {
      status: 'success',
      message: found ? 'The device is no longer registered.' : 'There was no such device.',
    }
  }
}

function show({ fcmToken, createdAt, updatedAt, lastUsed, ...device }: Device): object {
  const time = (milliseconds: number): string => new Date(milliseconds).toISOString()
  return {
    ...device,
    fcmToken: maskToken(fcmToken),
    createdAt: time(createdAt),
    updatedAt: time(updatedAt),
    lastUsed: time(lastUsed),
  }
}
