/** The visitor's private key: made in the page, kept in the session storage of its tab, and nowhere else. */
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
