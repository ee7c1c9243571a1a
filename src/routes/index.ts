import type { Mailbox } from '../mailbox'
import type { DeviceStore } from '../db/devices'
import type { Permissions } from '../permissions'
import { acknowledgeMessage } from './acknowledgeMessage'
import { listDevices, registerDevice, unregisterDevice } from './devices'
import { listMessages } from './listMessages'
import { getPermission, listPermissions, quote, setPermission } from './permissions'
import { get, post, type Route } from './route'
import { sendMessage } from './sendMessage'

/** Everything that needs a proven identity; mounted under the routing prefix. */
export function routes({
  mailbox,
  permissions,
  devices,
}: {
  mailbox: Mailbox
  permissions: Permissions
  devices: DeviceStore
}): Route[] {
  return [
    post('/sendMessage', sendMessage(mailbox)),
    post('/listMessages', listMessages(mailbox)),
    post('/acknowledgeMessage', acknowledgeMessage(mailbox)),
    post('/permissions/set', setPermission(permissions)),
    get('/permissions/get', getPermission(permissions)),
    get('/permissions/list', listPermissions(permissions)),
    get('/permissions/quote', quote(permissions)),
    post('/registerDevice', registerDevice(devices)),
    get('/devices', listDevices(devices)),
    post('/unregisterDevice', unregisterDevice(devices)),
  ]
}
