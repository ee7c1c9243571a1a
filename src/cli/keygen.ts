import { keygen } from './admin/keygen'

/** Prints a fresh SERVER_PRIVATE_KEY: `npm run keygen`. */
process.stdout.write(`${keygen().text}\n`)
