import { health, ready } from './health'
import { info } from './info'
import { migrate } from './migration'

/** The routes for operators. They need no authentication. */
export const OPERATOR_ROUTES = [health, ready, info, migrate]
