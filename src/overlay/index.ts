/**
 * The overlay network's side of this server: who receives messages where. It has one topic, to which advertisements are
 * submitted, and one lookup service, which finds them, for anybody; at the root, where the SDK's `TopicBroadcaster` and
 * `LookupResolver` look for them (BRC-22, BRC-24).
 */
import type { Request, RequestHandler } from 'express'
import type { Config } from '../config'
import type { AdvertisementStore } from '../db/advertisements'
import { ApiError, type ErrorCode } from '../contract/errors'
import { receiveBody } from '../http/body'
import { exchangeOf } from '../http/exchange'
import { parseJson } from '../http/json'
import type { Limits } from '../limits'
import { pointsOf } from '../limits/meter'
import type { RateLimiter } from '../limits/rates'
import type { Route } from '../routes/route'
import { TransactionVerifier } from '../spv/verifier'
import { toBinary, toOutputList } from './answer'
import { listDescribed, LOOKUP_SERVICES, TOPIC_MANAGERS, type Described } from './documentation'
import { parseQuestion } from './lookup'
import { checkTopics, submitTransaction, takeBeef } from './submission'

/** Largest bodies, in bytes. */
export const MAX_QUESTION = 16 * 1024
export const MAX_SUBMISSION = 256 * 1024

export interface Overlay {
  routes: Route[]
  close: () => Promise<void>
}

export interface OverlayParts {
  store: AdvertisementStore
  limits: Limits
}

export function createOverlay(
  { overlay, network, payments }: Pick<Config, 'overlay' | 'network' | 'payments'>,
  { store, limits }: OverlayParts,
): Overlay {
  if (!overlay.enabled) return { routes: [], async close() {} }
  // A local network has no service of headers.
  const verifier = new TransactionVerifier(
    'submission',
    network === 'local' ? undefined : payments.chaintracksUrl,
    limits.verification,
  )

  /** The body of a request that its address is allowed. */
  const read = async (req: Request, rate: RateLimiter, limit: number): Promise<Buffer> => {
    await rate.consume(exchangeOf(req).address)
    return await receiveBody(req, limit, limits)
  }

  const routes: Route[] = [
    {
      method: 'post',
      path: '/submit',
      async handler(req, res) {
        const body = await read(req, limits.submissions, MAX_SUBMISSION)
        checkTopics(req.headers['x-topics'])
        res.json(
          await submitTransaction(
            { verifier, store },
            exchangeOf(req).address,
            takeBeef(body, req.headers),
          ),
        )
      },
    },
    {
      method: 'post',
      path: '/lookup',
      async handler(req, res) {
        const found = await store.find(
          parseQuestion(parseJson(await read(req, limits.lookups, MAX_QUESTION))),
        )
        const binary = req.headers['x-aggregation'] === 'yes'
        const answer = binary ? toBinary(found) : toOutputList(found)
        limits.perAddress.charge(exchangeOf(req).address, pointsOf({ bytes: answer.length }))
        res.type(binary ? 'application/octet-stream' : 'json').send(answer)
      },
    },
    {
      method: 'get',
      path: '/listTopicManagers',
      handler(_req, res) {
        res.json(listDescribed(TOPIC_MANAGERS))
      },
    },
    {
      method: 'get',
      path: '/listLookupServiceProviders',
      handler(_req, res) {
        res.json(listDescribed(LOOKUP_SERVICES))
      },
    },
    {
      method: 'get',
      path: '/getDocumentationForTopicManager',
      handler: documentation(TOPIC_MANAGERS, 'manager', 'ERR_UNKNOWN_TOPIC'),
    },
    {
      method: 'get',
      path: '/getDocumentationForLookupServiceProvider',
      handler: documentation(LOOKUP_SERVICES, 'lookupService', 'ERR_UNKNOWN_SERVICE'),
    },
  ]
  return {
    routes,
    async close() {
      await verifier.close()
    },
  }
}

function documentation(
  described: Map<string, Described>,
  parameter: string,
  unknown: ErrorCode,
): RequestHandler {
  return (req, res) => {
    const found = described.get(String(req.query[parameter]))
    if (found === undefined)
      throw new ApiError(
        unknown,
        `Name one of these in "${parameter}": ${[...described.keys()].join(', ')}.`,
      )
    res.type('text/markdown').send(found.documentation)
  }
}
