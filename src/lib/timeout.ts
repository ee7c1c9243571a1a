/**
 * Waits for work for a limited time. The work itself goes on after a timeout.
 * An answer that has arrived by then counts, even if the process was too busy to read it.
 * @param code of the error
 * @throws Error with this message, if the work takes longer
 */
export async function withTimeout<T>(
  work: Promise<T>,
  timeoutMs: number,
  message: string,
  code?: string,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  let turn: NodeJS.Immediate | undefined
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      // One turn of the event loop reads what has arrived, the next one handles it.
      turn = setImmediate(() => {
        turn = setImmediate(() => {
          reject(Object.assign(new Error(message), { code }))
        })
      })
    }, timeoutMs)
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
    clearImmediate(turn)
  }
}

/** Waits until work ends, for a limited time. @returns whether it ended, well or not */
export async function endsWithin(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const ended = (): boolean => true
  return await withTimeout(work.then(ended, ended), timeoutMs, 'timeout').catch(() => false)
}
