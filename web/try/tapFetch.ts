/** Shows HTTP requests. Import it first: the SDK keeps the `fetch` that it finds at its import. */
import { readable, report, type Frame } from './frames'
import { meaningOfRequest } from './meanings'

const realFetch = window.fetch.bind(window)

/** The description of the last error response, or undefined if the last request succeeded. */
let lastError: string | undefined

export function clearLastError(): void {
  lastError = undefined
}

export function getLastError(): string | undefined {
  return lastError
}

window.fetch = async (input, init) => {
  const request = {
    method: init?.method ?? 'GET',
    url: new URL(input instanceof Request ? input.url : String(input), location.href),
  }
  const sent = [
    {
      heading: 'Sent',
      text:
        `${request.method} ${request.url.pathname}${request.url.search}\n` +
        headersOf(new Headers(init?.headers)),
    },
    ...bodyOf('Body', textOf(init?.body)),
  ]
  const show = (answer: string, parts: Frame['parts']): void => {
    report({
      way: '⇄',
      name: `${request.method} ${request.url.pathname} ${answer}`,
      meaning: meaningOfRequest(request.url.pathname),
      parts: [...sent, ...parts],
    })
  }
  try {
    const response = await realFetch(input, init)
    const text = await response.clone().text()
    lastError = response.ok ? undefined : describe(text)
    show(String(response.status), [
      {
        heading: 'Response',
        text: `${response.status} ${response.statusText}\n${headersOf(response.headers)}`,
      },
      ...bodyOf('Body of the response', text),
    ])
    return response
  } catch (error) {
    lastError = undefined
    show('no response', [{ heading: 'No response', text: String(error) }])
    throw error
  }
}

/** The signed headers, and those that carry the signature. */
function headersOf(headers: Headers): string {
  return [...headers]
    .filter(([name]) => name.startsWith('x-bsv-') || name === 'content-type')
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n')
}

function bodyOf(heading: string, text: string): Frame['parts'] {
  return text === '' ? [] : [{ heading, text: readable(text) }]
}

function textOf(body: BodyInit | null | undefined): string {
  if (body === null || body === undefined) return ''
  if (typeof body === 'string') return body
  return body instanceof Uint8Array || body instanceof ArrayBuffer
    ? new TextDecoder().decode(body)
    : '(not shown)'
}

function describe(text: string): string | undefined {
  try {
    const { code, description } = JSON.parse(text) as { code?: string; description?: string }
    return description === undefined
      ? undefined
      : `${description}${code === undefined ? '' : ` (${code})`}`
  } catch {
    return undefined
  }
}
