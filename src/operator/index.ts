import type { Config } from '../config'
import type { Schema } from '../db/engine/schema'
import type { Limits } from '../limits'
import type { Route } from '../routes/route'
import { currentInfo, type Info } from './info'
import { migrationHandler } from './migration'

export interface OperatorParts {
  config: Config
  info: Info
  advertiser: { state: object | undefined }
  limits: Limits
  schema: Schema
}

/** What needs no identity: what the server is, for anybody, and its migrations, for whoever has their key. */
export function operatorRoutes(parts: OperatorParts): Route[] {
  const { config, limits, schema } = parts
  const { key } = config.migrate
  return [
    {
      method: 'get',
      path: '/info',
      handler(_req, res) {
        res.json(currentInfo(parts))
      },
    },
    ...(key === undefined
      ? []
      : [
          {
            method: 'post' as const,
            path: '/migrate',
            handler: migrationHandler({ key, limits, schema }),
          },
        ]),
  ]
}
