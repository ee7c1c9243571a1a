/** Asks other servers over HTTP. */
import { parseFields, type Fields } from '../../contract/primitives'

const ANSWER_TIMEOUT_MS = 4000

export interface Answer {
  status: number
  headers: Headers
  body: Buffer
  /** The body as an object; empty if it is not JSON. */
  json: Fields
  asked: number
  answered: number
}

/** @throws Error that says why there is no answer */
export async function ask(
  url: string,
  init: RequestInit = {},
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<Answer> {
  const asked = Date.now()
  try {
    const response = await fetch(url, {
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
      ...init,
    })
    const body = Buffer.from(await response.arrayBuffer())
    return {
      status: response.status,
      headers: response.headers,
      body,
      json: parseFields(body.toString()) ?? {},
      asked,
      answered: Date.now(),
    }
  } catch (error) {
    throw new Error(describeFault(error as Error), { cause: error })
  }
}

const FAULTS: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was closed',
  UND_ERR_SOCKET: 'the connection was closed',
  ENOTFOUND: 'the name of the host is not known',
  EAI_AGAIN: 'the name of the host cannot be looked up',
  ENETUNREACH: 'the network cannot be reached',
  EHOSTUNREACH: 'the host cannot be reached',
  ETIMEDOUT: 'there is no answer in time',
  UND_ERR_CONNECT_TIMEOUT: 'there is no answer in time',
  TimeoutError: 'there is no answer in time',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is self-signed',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its intermediate certificates are missing',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'this machine does not trust the issuer of its certificate',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  EPROTO: 'it does not speak TLS',
}

function describeFault(error: Error): string {
  const cause = (error.cause ?? error) as NodeJS.ErrnoException & {
    errors?: NodeJS.ErrnoException[]
  }
  const { code = cause.name, message } = cause.errors?.[0] ?? cause
  return FAULTS[code] ?? FAULTS[error.name] ?? `${code}: ${message}`
}
