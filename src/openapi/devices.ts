import { MAX_DEVICES } from '../db/devices'
import { DEVICES_QUERY, REGISTER_DEVICE_REQUEST, UNREGISTER_DEVICE_REQUEST } from '../push/requests'
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
} from './answers'
import type { OperationDescription } from './operation'

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

export const DEVICES: OperationDescription[] = [
  {
    method: 'post',
    path: '/registerDevice',
    id: 'registerDevice',
    tag: 'Devices',
    summary: "Keep a device's token for push messages",
    description: `A registration belongs to the caller and the token; registering a token again refreshes it, and a new token of the same \`deviceId\` and platform replaces the old one. An identity has up to ${MAX_DEVICES} devices: the one that was longest unused makes room.`,
    body: {
      schema: REGISTER_DEVICE_REQUEST,
      examples: {
        phone: { fcmToken: TOKEN, deviceId: 'my phone', platform: 'ios' },
        least: { fcmToken: TOKEN },
      },
    },
    answers: {
      200: {
        description: 'The device is registered; `deviceId` is the number of the registration.',
        schema: success({ message: ABOUT, deviceId: COUNT }),
        examples: {
          done: { status: 'success', message: 'The device is registered.', deviceId: 1 },
        },
      },
    },
    errors: ['ERR_INVALID_FCM_TOKEN', 'ERR_INVALID_PLATFORM', 'ERR_INVALID_DEVICE_ID'],
    sample: `console.log(await client.registerDevice({ fcmToken: '${TOKEN}', deviceId: 'my phone', platform: 'ios' }, host))`,
  },
  {
    method: 'get',
    path: '/devices',
    id: 'listDevices',
    tag: 'Devices',
    summary: "The caller's devices, the one that was updated last first",
    query: { schema: DEVICES_QUERY, examples: { all: {}, one: { limit: 1, offset: 0 } } },
    description: 'Tokens are shown in part: enough to know them by, too little to use them.',
    answers: {
      200: {
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
    },
    errors: ['ERR_INVALID_LIMIT', 'ERR_INVALID_OFFSET'],
    sample: 'console.log(await client.listRegisteredDevices(host))',
  },
  {
    method: 'post',
    path: '/unregisterDevice',
    id: 'unregisterDevice',
    tag: 'Devices',
    summary: "Forget a device of the caller's",
    description: 'Succeeds where there is none, too.',
    body: { schema: UNREGISTER_DEVICE_REQUEST, examples: { phone: { fcmToken: TOKEN } } },
    answers: {
      200: {
        description: 'The device is not registered now.',
        schema: success({ message: ABOUT }),
        examples: { done: { status: 'success', message: 'The device is no longer registered.' } },
      },
    },
    errors: ['ERR_INVALID_FCM_TOKEN'],
    sample: `// The client has no method for it; its signed fetch does.
const response = await client.authFetch.fetch(\`\${host}/unregisterDevice\`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ fcmToken: '${TOKEN}' })
})
console.log(await response.json())`,
  },
]
