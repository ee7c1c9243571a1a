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
/** For an access token, and until an idle connection is closed. */
const FIREBASE_TIMEOUT_MS = 20_000
const SCOPES = ['https://www.googleapis.com/auth/firebase.messaging']

/** @param config of a push that is enabled */
export function createFirebase({ account, projectId }: PushConfig): PushService {
  const agent = new Agent({ keepAlive: true, timeout: FIREBASE_TIMEOUT_MS })
  // A unique name, since a process may run several servers.
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

/** Errors that firebase-admin does not retry by itself. */
const PASSING = [
  'messaging/internal-error',
  'messaging/unknown-error',
  'messaging/server-unavailable',
]

/** To the service an invalid token and an invalid message have one code: the text tells which. */
function isDead({ code = '', message = '' }: Fault): boolean {
  return (
    DEAD.includes(code) ||
    (code === 'messaging/invalid-argument' && /registration token/i.test(message))
  )
}

/** Unlike firebase-admin's own, it may only push, and it has a timeout. */
function createCredential({ clientEmail, privateKey }: ServiceAccount): Credential {
  const client = new JWT({
    email: clientEmail,
    key: privateKey.reveal(),
    scopes: SCOPES,
    transporterOptions: { timeout: FIREBASE_TIMEOUT_MS },
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
