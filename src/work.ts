import type { ServerResponse } from 'node:http'

/**
 * Calls somebody once when the work for a response is done: when it is ended or given up. Not when its client has it
 * or leaves: the one may take long, and the other ends no work.
 */
export function whenDone (res: ServerResponse, callback: () => void): void {
  let done = false
  const finish = (): void => {
    if (!done) callback()
    done = true
  }
  const { end, destroy } = res
  res.end = function (...parameters: unknown[]): ServerResponse {
    finish()
    return end.apply(res, parameters as Parameters<typeof end>)
  }
  res.destroy = function (error?: Error): ServerResponse {
    finish()
    return destroy.call(res, error)
  }
}
