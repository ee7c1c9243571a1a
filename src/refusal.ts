/** Refusals written without Express, where it has no say: before a request is one, and beside it. */
import { STATUS_CODES, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ApiError } from './errors'

const JSON_TYPE = 'application/json; charset=utf-8'

/** Answers a request. */
export function sendRefusal (res: ServerResponse, refusal: ApiError): void {
  const body = JSON.stringify(refusal.toBody())
  res.writeHead(refusal.status, { ...refusal.headers, 'content-type': JSON_TYPE, 'content-length': Buffer.byteLength(body) }).end(body)
}

/** Answers on a bare connection, which then ends. */
export function writeRefusal (socket: Duplex, refusal: ApiError): void {
  if (!socket.writable) return void socket.destroy()
  const body = JSON.stringify(refusal.toBody())
  socket.end([
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]!}`,
    `content-type: ${JSON_TYPE}`,
    'access-control-allow-origin: *',
    ...Object.entries(refusal.headers).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '',
    body
  ].join('\r\n'))
}
