/** The process that verifies: one transaction at a time, for as long as it is let live. */
import { ChaintracksHeaders } from './headers'
import { VERIFY, type Verified } from './verify'

const [, , chaintracksUrl] = process.argv
const headers = chaintracksUrl === undefined ? 'scripts only' : new ChaintracksHeaders(chaintracksUrl)

process.on('message', ({ kind, bytes }: { kind: keyof Verified, bytes: Uint8Array }) => {
  void VERIFY[kind](bytes, headers).then(verdict => { process.send!(verdict) })
})
// Nobody is left to ask.
process.on('disconnect', () => { process.exit() })
