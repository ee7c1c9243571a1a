/** The worker thread that verifies: one transaction at a time, for as long as it is let live. */
import { parentPort, workerData } from 'node:worker_threads'
import { ChaintracksHeaders } from './headers'
import { verifyTransaction } from './verify'

const headers = new ChaintracksHeaders((workerData as { chaintracksUrl: string }).chaintracksUrl)

parentPort!.on('message', (bytes: Uint8Array) => {
  void verifyTransaction(bytes, headers).then(verdict => { parentPort!.postMessage(verdict) })
})
