import type { Config } from '../config'
import {
  MAX_ACKNOWLEDGED_IDS,
  MAX_EVENT_BYTES,
  MAX_LIVE_BODY,
  MAX_NAME_LENGTH,
  MAX_PAGE_MESSAGES,
  MAX_RECIPIENTS,
  type IdentityKey,
} from '../contract/protocol'
import { DAY, type Limit } from '../config/parsers'
import { name, version } from '../../package.json'

/** What anybody may know of this server: GET /info. A limit that is off is null. */
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
    /** Requests a minute. */
    rates: { address: number | null; identity: number | null }
    concurrentRequests: number | null
    /** TCP connections and live sockets of one address, live sockets of one identity. */
    connections: { address: number | null }
    sockets: { address: number | null; identity: number | null }
    /** Seconds a minute that transactions of one address may take to verify. */
    verificationSeconds: number | null
    /** Bytes that requests and unread answers may take; one address or identity may use a quarter. */
    memory: { incoming: number; outgoing: number }
    /** Rules of permissions that one identity may have. */
    rules: number | null
    quotas: {
      inbox: { messages: number | null; bytes: number | null }
      sender: { messages: number | null; bytes: number | null }
    }
    retentionDays: number | null
  }
  /** Satoshis for the delivery into a box, where it costs something. */
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
      liveBodyBytes: MAX_LIVE_BODY,
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

/** The same with what may change while the server runs: how its own advertisements are, or null where it has none. */
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
