import type { Config } from '../config'
import {
  MAX_ACKNOWLEDGED_IDS,
  MAX_EVENT_BYTES,
  MAX_LIVE_BODY_BYTES,
  MAX_NAME_LENGTH,
  MAX_PAGE_MESSAGES,
  MAX_RECIPIENTS,
  type IdentityKey,
} from '../contract/protocol'
import { DAY, type Limit } from '../config/parsers'
import {
  COUNT,
  exactly,
  FLAG,
  IDENTITY_KEY,
  listOf,
  nullable,
  SATOSHIS,
  STRING,
} from '../contract/answers'
import { BOB, type Operation } from '../routes/route'
import { name, version } from '../../package.json'

/** The public description of the server (GET /info). A limit that is off is null. */
export interface Info {
  name: string
  version: string
  identityKey: IdentityKey
  network: string
  hostingDomain: string | null
  limits: {
    bodyBytes: number
    liveBodyBytes: number
    liveEventBytes: number
    recipients: number
    messageIdCharacters: number
    messageBoxCharacters: number
    acknowledgedIds: number
    page: { messages: number; bytes: number }
    /** Requests per minute. */
    rates: { address: number | null; identity: number | null }
    concurrentRequests: number | null
    /** TCP connections and live sockets of one address, live sockets of one identity. */
    connections: { address: number | null }
    sockets: { address: number | null; identity: number | null }
    /** Seconds per minute spent on verifying the transactions of one address. */
    verificationSeconds: number | null
    /** Bytes of requests and unread responses; a quarter of it for one address or identity. */
    memory: { incoming: number; outgoing: number }
    /** Permission rules of one identity. */
    rules: number | null
    quotas: {
      inbox: { messages: number | null; bytes: number | null }
      sender: { messages: number | null; bytes: number | null }
    }
    retentionDays: number | null
  }
  /** Delivery fees in satoshis by box. Free boxes are left out. */
  deliveryFees: Record<string, number>
  features: Record<string, boolean>
}

export function describeServer(config: Config, identityKey: IdentityKey): Info {
  const { http, mailbox, limits } = config
  const { inbox, sender } = mailbox.quotas
  return {
    name,
    version,
    identityKey,
    network: config.network,
    hostingDomain: http.hostingDomain ?? null,
    limits: {
      bodyBytes: http.maxBodyBytes,
      liveBodyBytes: MAX_LIVE_BODY_BYTES,
      liveEventBytes: MAX_EVENT_BYTES,
      recipients: MAX_RECIPIENTS,
      messageIdCharacters: MAX_NAME_LENGTH,
      messageBoxCharacters: MAX_NAME_LENGTH,
      acknowledgedIds: MAX_ACKNOWLEDGED_IDS,
      page: { messages: MAX_PAGE_MESSAGES, bytes: mailbox.maxPageBytes },
      rates: { address: orNull(limits.perAddress), identity: orNull(limits.perIdentity) },
      concurrentRequests: orNull(limits.concurrent),
      connections: { address: orNull(limits.connections) },
      sockets: {
        address: orNull(limits.socketsPerAddress),
        identity: orNull(limits.socketsPerIdentity),
      },
      verificationSeconds: orNull(limits.verificationSeconds),
      memory: config.memory,
      rules: orNull(mailbox.maxRules),
      quotas: {
        inbox: { messages: orNull(inbox.messages), bytes: orNull(inbox.bytes) },
        sender: { messages: orNull(sender.messages), bytes: orNull(sender.bytes) },
      },
      retentionDays: mailbox.retentionMs === undefined ? null : mailbox.retentionMs / DAY,
    },
    deliveryFees: config.deliveryFees,
    features: {
      live: config.live.enabled,
      overlay: config.overlay.enabled,
      push: config.push.enabled,
      payments:
        config.payments.chaintracksUrl !== undefined && config.payments.arcUrl !== undefined,
      manyNodes: config.redis.url !== undefined,
    },
  }
}

/** Adds the state of the server's own advertisements, which changes; null if it has none. */
export type CurrentInfo = Info & { advertising: object | null }

export function currentInfo({
  info,
  advertiser,
}: {
  info: Info
  advertiser: { state: object | undefined }
}): CurrentInfo {
  return { ...info, advertising: advertiser.state ?? null }
}

function orNull(limit: Limit): number | null {
  return limit ?? null
}

const QUOTA = exactly({ messages: nullable(COUNT), bytes: nullable(COUNT) })

const INFO = exactly({
  name: STRING,
  version: STRING,
  identityKey: IDENTITY_KEY,
  network: { enum: ['main', 'test', 'local'] },
  hostingDomain: nullable(STRING),
  limits: exactly({
    bodyBytes: COUNT,
    liveBodyBytes: COUNT,
    liveEventBytes: COUNT,
    recipients: COUNT,
    messageIdCharacters: COUNT,
    messageBoxCharacters: COUNT,
    acknowledgedIds: COUNT,
    page: exactly({ messages: COUNT, bytes: COUNT }),
    rates: {
      ...exactly({ address: nullable(COUNT), identity: nullable(COUNT) }),
      description: 'Requests per minute. A large request counts as several.',
    },
    concurrentRequests: nullable(COUNT),
    connections: {
      ...exactly({ address: nullable(COUNT) }),
      description: 'TCP connections of one address.',
    },
    sockets: {
      ...exactly({ address: nullable(COUNT), identity: nullable(COUNT) }),
      description: 'Live sockets of one address and of one identity.',
    },
    verificationSeconds: {
      ...nullable(COUNT),
      description: 'Seconds per minute spent on verifying the transactions of one address.',
    },
    memory: {
      ...exactly({ incoming: COUNT, outgoing: COUNT }),
      description:
        'Bytes of requests and unread responses that the server holds. One address or identity ' +
        'may use a quarter, or as much as the largest body or response needs.',
    },
    rules: { ...nullable(COUNT), description: 'Permission rules of one identity.' },
    quotas: exactly({ inbox: QUOTA, sender: QUOTA }),
    retentionDays: nullable({ type: 'number' }),
  }),
  deliveryFees: {
    type: 'object',
    additionalProperties: SATOSHIS,
    description: 'The delivery fee of each box that has one.',
  },
  features: { type: 'object', additionalProperties: FLAG },
  advertising: {
    ...nullable(
      exactly({
        host: STRING,
        topics: listOf(STRING),
        checkedAt: nullable(STRING),
        fault: nullable(STRING),
      }),
    ),
    description:
      "The server's own advertisements: host, topics, time of the last check and current fault. " +
      'Null if it has none.',
  },
})

export const info: Operation<{ info: Info; advertiser: { state: object | undefined } }> = {
  method: 'get',
  path: '/info',
  id: 'info',
  tag: 'Server',
  summary: 'Get name, limits and features',
  description: 'A limit that is off is null.',
  access: 'open',
  answers: {
    200: {
      description: 'The description of the server.',
      schema: INFO,
      examples: {
        usual: {
          name: 'messagebox-server',
          version: '0.1.0',
          identityKey: BOB,
          network: 'main',
          hostingDomain: 'https://box.example.com',
          limits: {
            bodyBytes: 10485760,
            liveBodyBytes: 1048576,
            liveEventBytes: 1048576,
            recipients: 100,
            messageIdCharacters: 255,
            messageBoxCharacters: 255,
            acknowledgedIds: 1000,
            page: { messages: 1000, bytes: 4194304 },
            rates: { address: 1200, identity: 3000 },
            concurrentRequests: 500,
            connections: { address: 4000 },
            sockets: { address: 2000, identity: 50 },
            verificationSeconds: 20,
            memory: { incoming: 134217728, outgoing: 134217728 },
            rules: 10000,
            quotas: {
              inbox: { messages: 10000, bytes: 1073741824 },
              sender: { messages: 10000, bytes: 1073741824 },
            },
            retentionDays: null,
          },
          deliveryFees: { notifications: 10 },
          features: { live: true, payments: true, manyNodes: false, push: false },
          advertising: null,
        },
      },
    },
  },
  errors: ['ERR_RATE_LIMITED'],
  sample: `const { identityKey, limits } = await (await fetch(\`\${host}/info\`)).json()
console.log(identityKey, limits)`,
  createHandler: (parts) => (_req, res) => {
    res.json(currentInfo(parts))
  },
}
