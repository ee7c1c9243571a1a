/**
 * Fetches JSON from a service that the operator has configured.
 * @returns body undefined if the answer is no JSON
 * @throws Error if the service does not answer in time, redirects, or sends more than `maxBytes`
 */
export async function fetchJson(
  url: string,
  { timeoutMs, maxBytes, ...init }: RequestInit & { timeoutMs: number; maxBytes: number },
): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url, {
    ...init,
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
  })
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of response.body ?? []) {
    bytes += piece.length
    if (bytes > maxBytes) throw new Error(`it answered with more than ${maxBytes} bytes`)
    pieces.push(piece)
  }
  return { status: response.status, body: parse(Buffer.concat(pieces).toString()) }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
