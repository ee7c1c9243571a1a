import { randomBytes } from 'node:crypto'
import { NativeWallet } from '../auth/wallet'
import { Secret } from '../secret'

/** Prints a fresh SERVER_PRIVATE_KEY, ready for .env, and the identity key that belongs to it. */
const privateKey = randomBytes(32).toString('hex')
process.stdout.write(`# identity key: ${new NativeWallet(new Secret(privateKey)).identityKey}\nSERVER_PRIVATE_KEY=${privateKey}\n`)
