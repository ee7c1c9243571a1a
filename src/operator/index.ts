import { health, ready } from './health'
import { info } from './info'
import { migrate } from './migration'

/** Routes about the server, which need no identity. */
export const OPERATOR_ROUTES = [health, ready, info, migrate]
