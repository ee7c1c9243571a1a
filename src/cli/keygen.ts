import { keygen } from './admin/keygen'

process.stdout.write(`${keygen().text}\n`)
