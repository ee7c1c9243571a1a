/** Firebase Cloud Messaging, through firebase-admin. */
import { deleteApp, initializeApp, type Credential } from 'firebase-admin/app'
import { getMessaging } from 'firebase-admin/messaging'
import { JWT } from 'google-auth-library'
import { randomUUID } from 'node:crypto'
import { Agent } from 'node:https'
import type { PushConfig } from '../config'
import type { ServiceAccount } from '../config/serviceAccount'
import type { PushService } from './pushService'

const TITLE = 'New message'
/** How long Google may take to give an access token, and how long a connection is kept that nobody uses, in milliseconds. */
const TIMEOUT = 20_000
/** All that a token is good for. */
const SCOPES = ['https://www.googleapis.com/auth/firebase.messaging']

/** @param config of a push that is enabled */
export function createFirebase({ account, projectId }: PushConfig): PushService {
  const agent = new Agent({ keepAlive: true, timeout: TIMEOUT })
  // A name of its own, since there may be several servers in a process.
  const app = initializeApp(
    { credential: createCredential(account!), projectId, httpAgent: agent },
    randomUUID(),
  )
  const messaging = getMessaging(app)
  return {
    async send(token, { messageId, messageBox, sender }) {
      try {
        await messaging.send({
          token,
          notification: { title: TITLE },
          data: { messageId, messageBox, sender },
        })
        return true
      } catch (error) {
        if (isDead(error as Fault)) return false
        throw Object.assign(error as Error, {
          retryable: PASSING.includes((error as Fault).code ?? ''),
        })
      }
    },
    async close() {
      agent.destroy()
      await deleteApp(app)
    },
  }
}

interface Fault {
  code?: string
  message?: string
}

const DEAD = ['messaging/registration-token-not-registered', 'messaging/invalid-registration-token']

/** What firebase-admin does not send again by itself. */
const PASSING = [
  'messaging/internal-error',
  'messaging/unknown-error',
  'messaging/server-unavailable',
]

/** What is no token at all is an invalid argument to the service, as is a message that it does not like; its text tells them apart. */
function isDead({ code = '', message = '' }: Fault): boolean {
  return (
    DEAD.includes(code) ||
    (code === 'messaging/invalid-argument' && /registration token/i.test(message))
  )
}

/** In place of firebase-admin's own, which may do more than push, and waits for ever where Google is silent. */
function createCredential({ clientEmail, privateKey }: ServiceAccount): Credential {
  const client = new JWT({
    email: clientEmail,
    key: privateKey.reveal(),
    scopes: SCOPES,
    transporterOptions: { timeout: TIMEOUT },
  })
  return {
    async getAccessToken() {
      const { token } = await client.getAccessToken()
      return {
        access_token: token!,
        expires_in: Math.floor((client.credentials.expiry_date! - Date.now()) / 1000),
      }
    },
  }
}
