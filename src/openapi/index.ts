/** The documents of the API, for anybody: what is answered over HTTP, and what happens over the socket. */
import type { Response } from 'express'
import { createHash } from 'node:crypto'
import type { Config } from '../config'
import type { Info } from '../operator/info'
import type { Route } from '../routes/route'
import { createEventsDocument } from '../ws/events/asyncapi'
import { createDocument } from './document'

export function documentRoutes({ config, info }: { config: Config; info: Info }): Route[] {
  return [
    serve('/openapi.json', createDocument({ info, prefix: config.http.prefix })),
    serve('/asyncapi.json', createEventsDocument()),
  ]
}

/** A document that stays the same as long as the server runs: clients keep it, and ask whether it is still what they have. */
function serve(path: string, document: object): Route {
  const body = Buffer.from(JSON.stringify(document))
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-cache',
    etag: `"${createHash('sha256').update(body).digest('base64url')}"`,
  }
  return {
    method: 'get',
    path,
    handler(_req, res: Response) {
      res.set(headers).send(body)
    },
  }
}
