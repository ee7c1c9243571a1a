/** The process that verifies, one transaction at a time, until the server ends it. */
import { ChaintracksHeaders } from './headers'
import type { Report } from './verifier'
import { VERIFY, type Verified } from './verify'

const [, , chaintracksUrl] = process.argv
const headers =
  chaintracksUrl === undefined ? 'scripts only' : new ChaintracksHeaders(chaintracksUrl)

function report(message: Report<Verified[keyof Verified]>): void {
  process.send!(message)
}

process.on('message', ({ kind, bytes }: { kind: keyof Verified; bytes: Uint8Array }) => {
  void VERIFY[kind](bytes, headers, (phase) => {
    report({ phase })
  }).then((verdict) => {
    report({ verdict })
  })
})
// The server has ended.
process.on('disconnect', () => {
  process.exit()
})
report({ ready: true })
