import { acknowledgeMessage } from './acknowledgeMessage'
import { listDevices, registerDevice, unregisterDevice } from './devices'
import { listMessages } from './listMessages'
import { getPermission, listPermissions, quote, setPermission } from './permissions'
import { sendMessage } from './sendMessage'

/** Every route that needs a proven identity. */
export const IDENTITY_ROUTES = [
  sendMessage,
  listMessages,
  acknowledgeMessage,
  setPermission,
  getPermission,
  listPermissions,
  quote,
  registerDevice,
  listDevices,
  unregisterDevice,
]
