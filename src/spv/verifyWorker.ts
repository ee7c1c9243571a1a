/** The worker thread that verifies: one transaction at a time, for as long as it is let live. */
import { parentPort, workerData } from 'node:worker_threads'
import { ChaintracksHeaders } from './headers'
import { VERIFY, type Verified } from './verify'

const { chaintracksUrl } = workerData as { chaintracksUrl: string | undefined }
const headers = chaintracksUrl === undefined ? 'scripts only' : new ChaintracksHeaders(chaintracksUrl)

parentPort!.on('message', ({ kind, bytes }: { kind: keyof Verified, bytes: Uint8Array }) => {
  void VERIFY[kind](bytes, headers).then(verdict => { parentPort!.postMessage(verdict) })
})
