/** Refusals written without Express: before a request reaches it, and on bare connections. */
import { STATUS_CODES, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ApiError } from '../contract/errors'

const JSON_TYPE = 'application/json; charset=utf-8'
/** How long the client of an ended connection may take to end it too, and how much it may still send. */
const END_TIMEOUT_MS = 2000
const END_BYTES = 64 * 1024

/** Answers a request. */
export function sendErrorResponse(res: ServerResponse, refusal: ApiError): void {
  const body = JSON.stringify(refusal.toBody())
  res.statusCode = refusal.status
  res.setHeaders(
    new Map(
      Object.entries({
        ...refusal.headers,
        'content-type': JSON_TYPE,
        'content-length': String(Buffer.byteLength(body)),
      }),
    ),
  )
  // The headers are written as the answer ends, which may decide that the connection does, too.
  res.end(body)
}

/** Answers on a bare connection, which then ends. */
export function writeErrorResponse(socket: Duplex, refusal: ApiError): void {
  if (!socket.writable) return void socket.destroy()
  const body = JSON.stringify(refusal.toBody())
  socket.on('error', () => {
    socket.destroy()
  })
  endSoon(
    socket as Socket,
    [
      `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]!}`,
      `content-type: ${JSON_TYPE}`,
      'access-control-allow-origin: *',
      ...Object.entries(refusal.headers).map(([name, value]) => `${name}: ${value}`),
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}

/** Ends a connection that Node's HTTP server no longer watches. If its client does not end it too, it is cut off. */
export function endSoon(socket: Socket, text = ''): void {
  socket.end(text)
  let left = END_BYTES
  // It must be read to its end to notice that the client has ended it.
  socket.on('data', (piece: Buffer) => {
    if ((left -= piece.length) < 0) socket.destroy()
  })
  const timer = setTimeout(() => {
    socket.destroy()
  }, END_TIMEOUT_MS).unref()
  socket.once('close', () => {
    clearTimeout(timer)
  })
}
