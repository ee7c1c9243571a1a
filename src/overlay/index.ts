/**
 * The overlay network's side of this server: who receives messages where. It has one topic, to which advertisements are
 * submitted, and one lookup service, which finds them, for anybody; at the root, where the SDK's `TopicBroadcaster` and
 * `LookupResolver` look for them (BRC-22, BRC-24).
 */
import type { Request, RequestHandler, Response } from 'express'
import { BodyBudget, parseJson, readBody, refuseUnread } from '../auth/body'
import type { Config } from '../config'
import type { AdvertisementStore } from '../db/advertisementStore'
import { ApiError, type ErrorCode } from '../errors'
import type { Limits } from '../limits'
import type { RateLimiter } from '../limits/rates'
import type { Route } from '../routes'
import { TransactionVerifier } from '../spv/verifier'
import { whenDone } from '../work'
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
  /** Of what has arrived of bodies that nobody has verified yet, and of answers that nobody has read. */
  budget: BodyBudget
  limits: Pick<Limits, 'address' | 'lookups' | 'submissions' | 'gate'>
}

export function createOverlay ({ overlay, network, payments }: Pick<Config, 'overlay' | 'network' | 'payments'>, { store, budget, limits }: OverlayParts): Overlay {
  if (!overlay.enabled) return { routes: [], async close () {} }
  // A local network has no service of headers.
  const verifier = new TransactionVerifier('submission', network === 'local' ? undefined : payments.chaintracksUrl)

  /** The body of a request that comes not too often and is not too large, once there is room for the work on it. */
  const read = async (req: Request, res: Response, rate: RateLimiter, limit: number): Promise<Buffer> => {
    const address = limits.address.of(req)
    const account = budget.open(address)
    try {
      await rate.consume(address)
      const body = await readBody(req, limit, account)
      limits.gate.enter(res)
      whenDone(res, account.release)
      return body
    } catch (error) {
      account.release()
      refuseUnread(req, res)
      throw error
    }
  }

  /** An answer takes memory until its client has read it, or has left. */
  const reserve = (req: Request, res: Response, bytes: number): void => {
    const account = budget.open(limits.address.of(req))
    account.take(bytes)
    if (res.closed || req.socket.destroyed) account.release()
    else res.once('close', account.release)
  }

  return {
    routes: [
      {
        method: 'post',
        path: '/submit',
        async handler (req, res) {
          const body = await read(req, res, limits.submissions, MAX_SUBMISSION)
          checkTopics(req.headers['x-topics'])
          res.json(await submitTransaction({ verifier, store }, limits.address.of(req), takeBeef(body, req.headers)))
        }
      },
      {
        method: 'post',
        path: '/lookup',
        async handler (req, res) {
          const found = await store.find(parseQuestion(parseJson(await read(req, res, limits.lookups, MAX_QUESTION))))
          const binary = req.headers['x-aggregation'] === 'yes'
          const answer = binary ? toBinary(found) : toOutputList(found)
          reserve(req, res, answer.length)
          res.type(binary ? 'application/octet-stream' : 'json').send(answer)
        }
      },
      { method: 'get', path: '/listTopicManagers', handler (_req, res) { res.json(listDescribed(TOPIC_MANAGERS)) } },
      { method: 'get', path: '/listLookupServiceProviders', handler (_req, res) { res.json(listDescribed(LOOKUP_SERVICES)) } },
      { method: 'get', path: '/getDocumentationForTopicManager', handler: documentation(TOPIC_MANAGERS, 'manager', 'ERR_UNKNOWN_TOPIC') },
      { method: 'get', path: '/getDocumentationForLookupServiceProvider', handler: documentation(LOOKUP_SERVICES, 'lookupService', 'ERR_UNKNOWN_SERVICE') }
    ],
    async close () { await verifier.close() }
  }
}

function documentation (described: Map<string, Described>, parameter: string, unknown: ErrorCode): RequestHandler {
  return (req, res) => {
    const found = described.get(String(req.query[parameter]))
    if (found === undefined) throw new ApiError(unknown, `Name one of these in "${parameter}": ${[...described.keys()].join(', ')}.`)
    res.type('text/markdown').send(found.documentation)
  }
}
