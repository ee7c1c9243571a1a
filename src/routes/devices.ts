import {
  ABOUT,
  COUNT,
  exactly,
  FLAG,
  listOf,
  NOON,
  nullable,
  STRING,
  success,
  TIME,
} from '../contract/answers'
import { MAX_DEVICE_ID_LENGTH, MAX_PAGE_DEVICES, MAX_TOKEN_LENGTH } from '../contract/protocol'
import {
  choice,
  describe,
  field,
  object,
  orBlank,
  orDefault,
  orNull,
  queriedNumber,
  trimmedText,
} from '../contract/schema'
import { maskToken, MAX_DEVICES, type Device, type DeviceStore } from '../db/devices'
import { route } from './route'

const PLATFORMS = ['ios', 'android', 'web'] as const

const fcmToken = field(
  describe(
    trimmedText(MAX_TOKEN_LENGTH),
    `The device's Firebase token, 1 to ${MAX_TOKEN_LENGTH} UTF-16 units. ` +
      'Blanks at both ends are removed.',
  ),
  'ERR_INVALID_FCM_TOKEN',
)
const deviceRequest = object({
  fcmToken,
  platform: field(
    describe(orNull(choice(PLATFORMS)), "The device's platform."),
    'ERR_INVALID_PLATFORM',
  ),
  deviceId: field(
    describe(
      orBlank(trimmedText(MAX_DEVICE_ID_LENGTH)),
      `The caller's name for the device, up to ${MAX_DEVICE_ID_LENGTH} UTF-16 units. ` +
        'Blanks at both ends are removed.',
    ),
    'ERR_INVALID_DEVICE_ID',
  ),
})
const devicesQuery = object({
  limit: field(
    describe(
      orDefault(queriedNumber(1, MAX_PAGE_DEVICES), MAX_PAGE_DEVICES),
      'The maximum number of devices to list.',
    ),
    'ERR_INVALID_LIMIT',
  ),
  offset: field(
    describe(orDefault(queriedNumber(0), 0), 'The number of devices to skip.'),
    'ERR_INVALID_OFFSET',
  ),
})
const tokenRequest = object({ fcmToken })

const DEVICE = exactly({
  id: COUNT,
  deviceId: nullable(STRING),
  platform: nullable(STRING),
  fcmToken: { type: 'string', description: 'The last characters of the token.' },
  active: FLAG,
  createdAt: TIME,
  updatedAt: TIME,
  lastUsed: TIME,
})
const TOKEN = 'dGhlIHRva2VuIG9mIGEgcGhvbmU'

export const registerDevice = route({
  method: 'post',
  path: '/registerDevice',
  id: 'registerDevice',
  tag: 'Devices',
  summary: 'Register a device for push messages',
  description:
    'A registration belongs to the caller and the token. Registering a token again refreshes it. ' +
    'A new token with the same `deviceId` and platform replaces the old one. An identity has up ' +
    `to ${MAX_DEVICES} devices; beyond that, the server removes the least recently used one.`,
  input: deviceRequest,
  examples: {
    phone: { fcmToken: TOKEN, deviceId: 'my phone', platform: 'ios' },
    least: { fcmToken: TOKEN },
  },
  output: {
    description: 'The device is registered. `deviceId` is the number of the registration.',
    schema: success({ message: ABOUT, deviceId: COUNT }),
    examples: {
      done: { status: 'success', message: 'The device is registered.', deviceId: 1 },
    },
  },
  errors: ['ERR_INVALID_FCM_TOKEN', 'ERR_INVALID_PLATFORM', 'ERR_INVALID_DEVICE_ID'],
  sample: `const device = { fcmToken: '${TOKEN}', deviceId: 'my phone', platform: 'ios' }
console.log(await client.registerDevice(device, host))`,
  handler:
    ({ devices }: { devices: DeviceStore }) =>
    async ({ identityKey }, device) => {
      const deviceId = await devices.register(identityKey, device)
      return { status: 'success', message: 'The device is registered.', deviceId }
    },
})

export const listDevices = route({
  method: 'get',
  path: '/devices',
  id: 'listDevices',
  tag: 'Devices',
  summary: 'List devices',
  input: devicesQuery,
  examples: { all: {}, one: { limit: 1, offset: 0 } },
  description: 'Lists the most recently updated device first. Tokens are masked.',
  output: {
    description: 'The devices.',
    schema: success({ devices: listOf(DEVICE, { maxItems: MAX_DEVICES }) }),
    examples: {
      one: {
        status: 'success',
        devices: [
          {
            id: 1,
            deviceId: 'my phone',
            platform: 'ios',
            fcmToken: '...hIHBob25l',
            active: true,
            createdAt: NOON,
            updatedAt: NOON,
            lastUsed: NOON,
          },
        ],
      },
    },
  },
  errors: ['ERR_INVALID_LIMIT', 'ERR_INVALID_OFFSET'],
  sample: 'console.log(await client.listRegisteredDevices(host))',
  handler:
    ({ devices }: { devices: DeviceStore }) =>
    async ({ identityKey }, page) => ({
      status: 'success',
      devices: (await devices.list(identityKey, page)).map(show),
    }),
})

export const unregisterDevice = route({
  method: 'post',
  path: '/unregisterDevice',
  id: 'unregisterDevice',
  tag: 'Devices',
  summary: 'Remove a device',
  description: 'Also succeeds if the device is not registered.',
  input: tokenRequest,
  examples: { phone: { fcmToken: TOKEN } },
  output: {
    description: 'The device is not registered.',
    schema: success({ message: ABOUT }),
    examples: { done: { status: 'success', message: 'The device is no longer registered.' } },
  },
  errors: ['ERR_INVALID_FCM_TOKEN'],
  sample: `// The client has no method for this route. Its signed fetch calls any route.
const response = await client.authFetch.fetch(\`\${host}/unregisterDevice\`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ fcmToken: '${TOKEN}' })
})
console.log(await response.json())`,
  handler:
    ({ devices }: { devices: DeviceStore }) =>
    async ({ identityKey }, { fcmToken: token }) => {
      const found = await devices.unregister(identityKey, token)
      return {
        status: 'success',
        message: found ? 'The device is no longer registered.' : 'There was no such device.',
      }
    },
})

function show({ fcmToken, createdAt, updatedAt, lastUsed, ...device }: Device): object {
  const time = (ms: number): string => new Date(ms).toISOString()
  return {
    ...device,
    fcmToken: maskToken(fcmToken),
    createdAt: time(createdAt),
    updatedAt: time(updatedAt),
    lastUsed: time(lastUsed),
  }
}
