/** @throws Error with this text where it takes longer than so many milliseconds */
export async function within<T>(work: Promise<T>, timeout: number, text: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(text))
    }, timeout)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
