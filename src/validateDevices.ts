/** From `unknown` to typed, for devices. */
import type { DeviceRegistration } from './db/devices'
import { ApiError } from './errors'
import { asFields } from './values'

const PLATFORMS: unknown[] = ['ios', 'android', 'web']
/** In characters. */
const MAX_TOKEN = 4096
const MAX_DEVICE_ID = 255

/** The body of POST /registerDevice. */
export function parseDevice (request: unknown): DeviceRegistration {
  const fcmToken = parseToken(request)
  const { deviceId = null, platform = null } = asFields(request) ?? {}
  if (platform !== null && !PLATFORMS.includes(platform)) throw new ApiError('ERR_INVALID_PLATFORM')
  if (deviceId !== null && (typeof deviceId !== 'string' || deviceId.length > MAX_DEVICE_ID)) throw new ApiError('ERR_INVALID_DEVICE_ID')
  return { fcmToken, deviceId, platform: platform as string | null }
}

/** The token in the body of POST /registerDevice and POST /unregisterDevice. */
export function parseToken (request: unknown): string {
  const { fcmToken } = asFields(request) ?? {}
  const token = typeof fcmToken === 'string' ? fcmToken.trim() : ''
  if (token === '' || token.length > MAX_TOKEN) throw new ApiError('ERR_INVALID_FCM_TOKEN')
  return token
}
