/** Asks other servers over HTTP. */
import { parseFields, type Fields } from '../../contract/primitives'

/** How long one answer may take, in milliseconds. */
const TIMEOUT = 4000

export interface Answer {
  status: number
  headers: Headers
  body: Buffer
  /** The body as an object; empty where it is none. */
  json: Fields
  asked: number
  answered: number
}

/** @throws Error that says in words why there is no answer */
export async function ask(url: string, init: RequestInit = {}, timeout = TIMEOUT): Promise<Answer> {
  const asked = Date.now()
  try {
    const response = await fetch(url, {
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
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
  ECONNRESET: 'the connection was broken off',
  UND_ERR_SOCKET: 'the connection was broken off',
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
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate comes without those between it and its root',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate comes from nobody whom this machine trusts',
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
