/** The visitor's private key. It exists only in the session storage of the tab. */
import { PrivateKey } from '@bsv/sdk'

const NAME = 'messagebox-try-key'

export function currentKey(): PrivateKey {
  const kept = sessionStorage.getItem(NAME)
  return kept === null ? newKey() : PrivateKey.fromHex(kept)
}

export function newKey(): PrivateKey {
  const key = PrivateKey.fromRandom()
  sessionStorage.setItem(NAME, key.toHex())
  return key
}
