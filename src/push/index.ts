import type { Logger } from 'pino'
import type { PushConfig } from '../config'
import type { DeviceStore } from '../db/devices'
import type { Publish } from '../mailbox'
import { Pusher } from './pusher'

export interface Push {
  /** Notifies the recipient's devices, in the background. Returns 0, since it uses no sockets. */
  publish: Publish
  /** Waits shortly for notices that are being sent, and drops the rest. */
  close: () => Promise<void>
}

/** Push is off. */
export const noPush: Push = {
  publish: () => 0,
  close: async () => {},
}

/** Notifies devices through Firebase Cloud Messaging. */
export function startPush(
  config: PushConfig,
  parts: { devices: DeviceStore; logger: Logger },
): Push {
  // Loaded here, so that firebase-admin takes no memory if push is off.
  const { createFirebase } = require('./firebase') as typeof import('./firebase')
  return new Pusher({ ...parts, service: createFirebase(config), boxes: config.boxes })
}
