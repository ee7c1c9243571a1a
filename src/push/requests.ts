/** From `unknown` to typed, for devices. */
import { MAX_PAGE_DEVICES, type DeviceRegistration, type Page } from '../contract/protocol'
import {
  choice,
  describe,
  fieldsOf,
  orBlank,
  orNull,
  queriedNumber,
  take,
  trimmedText,
} from '../contract/schema'
import { asFields, type Fields } from '../contract/primitives'

const PLATFORMS = ['ios', 'android', 'web'] as const
/** In characters. */
const MAX_TOKEN = 4096
const MAX_DEVICE_ID = 255

const token = {
  fcmToken: describe(
    trimmedText(MAX_TOKEN),
    `The token that Firebase gave the device: 1 to ${MAX_TOKEN} UTF-16 units, blanks at both ends left out.`,
  ),
}
const device = {
  ...token,
  platform: describe(orNull(choice(PLATFORMS)), 'What the device runs.'),
  deviceId: describe(
    orBlank(trimmedText(MAX_DEVICE_ID)),
    `A name of the caller's own for the device: up to ${MAX_DEVICE_ID} UTF-16 units, blanks at both ends left out.`,
  ),
}
export const REGISTER_DEVICE_REQUEST = fieldsOf(device, ['fcmToken'])
const page = {
  limit: describe(queriedNumber(1, MAX_PAGE_DEVICES), 'How many devices at most.', {
    default: MAX_PAGE_DEVICES,
  }),
  offset: describe(queriedNumber(0), 'How many devices to pass over.', { default: 0 }),
}
export const DEVICES_QUERY = fieldsOf(page)
export const UNREGISTER_DEVICE_REQUEST = fieldsOf(token, ['fcmToken'])

/** The body of POST /registerDevice. */
export function parseDevice(request: unknown): DeviceRegistration {
  const fcmToken = parseToken(request)
  const fields = asFields(request) ?? {}
  const platform = take(device.platform, fields.platform, 'ERR_INVALID_PLATFORM')
  const deviceId = take(device.deviceId, fields.deviceId, 'ERR_INVALID_DEVICE_ID')
  return { fcmToken, deviceId, platform }
}

/** The token in the body of POST /registerDevice and POST /unregisterDevice. */
export function parseToken(request: unknown): string {
  return take(token.fcmToken, asFields(request)?.fcmToken, 'ERR_INVALID_FCM_TOKEN')
}

/** The query of GET /devices. */
export function parseDevicesQuery(query: Fields): Page {
  const { limit = String(MAX_PAGE_DEVICES), offset = '0' } = query
  return {
    limit: take(page.limit, limit, 'ERR_INVALID_LIMIT'),
    offset: take(page.offset, offset, 'ERR_INVALID_OFFSET'),
  }
}
