import type { Logger } from 'pino'
import type { PushConfig } from '../config'
import type { DeviceStore } from '../db/devices'
import type { Publish } from '../mailbox'
import { Pusher } from './pusher'

/** Tells devices of messages, where they are told at all. */
export interface Push {
  /** The same, which also tells the devices of a message's recipient, without making anybody wait. */
  follow: (publish: Publish) => Publish
  /** Gives what is under way a moment, and drops the rest. */
  close: () => Promise<void>
}

/** Nobody is told, and nothing wrapped. */
export const noPush: Push = {
  follow: (publish) => publish,
  close: async () => {},
}

/** Loads firebase-admin, and tells devices through Firebase Cloud Messaging. */
export function startPush(
  config: PushConfig,
  parts: { devices: DeviceStore; logger: Logger },
): Push {
  // Only here: where push is off none of it is in memory.
  const { createFirebase } = require('./firebase') as typeof import('./firebase')
  return new Pusher({ ...parts, service: createFirebase(config), boxes: config.boxes })
}
