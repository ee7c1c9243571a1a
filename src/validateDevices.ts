/** From `unknown` to typed, for devices. */
import type { DeviceRegistration } from './protocol'
import { choice, describe, fieldsOf, orNull, take, text, trimmedText } from './schema'
import { asFields } from './values'

const PLATFORMS = ['ios', 'android', 'web'] as const
/** In characters. */
const MAX_TOKEN = 4096
const MAX_DEVICE_ID = 255

const token = { fcmToken: describe(trimmedText(MAX_TOKEN), `The token that Firebase gave the device: 1 to ${MAX_TOKEN} UTF-16 units, blanks at both ends left out.`) }
const device = {
  ...token,
  platform: describe(orNull(choice(PLATFORMS)), 'What the device runs.'),
  deviceId: describe(orNull(text(MAX_DEVICE_ID)), `A name of the caller's own for the device: up to ${MAX_DEVICE_ID} UTF-16 units.`)
}
export const REGISTER_DEVICE_REQUEST = fieldsOf(device, ['fcmToken'])
export const UNREGISTER_DEVICE_REQUEST = fieldsOf(token, ['fcmToken'])

/** The body of POST /registerDevice. */
export function parseDevice (request: unknown): DeviceRegistration {
  const fcmToken = parseToken(request)
  const fields = asFields(request) ?? {}
  const platform = take(device.platform, fields.platform, 'ERR_INVALID_PLATFORM')
  const deviceId = take(device.deviceId, fields.deviceId, 'ERR_INVALID_DEVICE_ID')
  return { fcmToken, deviceId, platform }
}

/** The token in the body of POST /registerDevice and POST /unregisterDevice. */
export function parseToken (request: unknown): string {
  return take(token.fcmToken, asFields(request)?.fcmToken, 'ERR_INVALID_FCM_TOKEN')
}
