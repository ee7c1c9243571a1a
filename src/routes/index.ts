import { acknowledgeMessage } from './acknowledgeMessage'
import { listDevices, registerDevice, unregisterDevice } from './devices'
import { listMessages } from './listMessages'
import { getPermission, listPermissions, quote, setPermission } from './permissions'
import { sendMessage } from './sendMessage'

/** The routes that need authentication. */
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
