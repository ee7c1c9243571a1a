/** Firebase Cloud Messaging, through firebase-admin. */
import { cert, deleteApp, initializeApp, type ServiceAccount } from 'firebase-admin/app'
import { getMessaging } from 'firebase-admin/messaging'
import { randomUUID } from 'node:crypto'
import { Agent } from 'node:https'
import type { PushConfig } from '../config'
import type { PushService } from './pusher'

const TITLE = 'New message'
/** How long a connection may be silent, in milliseconds. */
const SILENCE = 20_000

/** @param config of a push that is enabled */
export function createFirebase ({ account, projectId }: PushConfig): PushService {
  const agent = new ImpatientAgent({ keepAlive: true, timeout: SILENCE })
  const { clientEmail, privateKey } = account!
  const credential = cert({ projectId, clientEmail, privateKey: privateKey.reveal() } satisfies ServiceAccount, agent)
  // A name of its own, since there may be several servers in a process.
  const app = initializeApp({ credential, projectId, httpAgent: agent }, randomUUID())
  const messaging = getMessaging(app)
  return {
    async send (token, { messageId, messageBox, sender }) {
      try {
        await messaging.send({ token, notification: { title: TITLE }, data: { messageId, messageBox, sender } })
        return true
      } catch (error) {
        if (isDead(error as Fault)) return false
        throw error
      }
    },
    async close () {
      agent.destroy()
      await deleteApp(app)
    }
  }
}

interface Fault { code?: string, message?: string }

const DEAD = ['messaging/registration-token-not-registered', 'messaging/invalid-registration-token']

/** What is no token at all is an invalid argument to the service, as is a message that it does not like; its text tells them apart. */
function isDead ({ code = '', message = '' }: Fault): boolean {
  return DEAD.includes(code) || (code === 'messaging/invalid-argument' && /registration token/i.test(message))
}

/** Gives up connections on which nothing comes: whoever asks for an access token would wait for ever. */
class ImpatientAgent extends Agent {
  override createConnection (...parameters: Parameters<Agent['createConnection']>): ReturnType<Agent['createConnection']> {
    const socket = super.createConnection(...parameters)
    socket?.once('timeout', () => { socket.destroy(Object.assign(new Error('nothing comes'), { code: 'ETIMEDOUT' })) })
    return socket
  }
}
