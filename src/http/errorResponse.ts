/** Error responses without Express: before a request reaches it, and on bare connections. */
import { STATUS_CODES, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ApiError } from '../contract/errors'

const JSON_TYPE = 'application/json; charset=utf-8'
/** How long the client of an ended connection may take to end it, too, and what it may send. */
const END_TIMEOUT_MS = 2000
const MAX_END_BYTES = 64 * 1024

export function sendErrorResponse(res: ServerResponse, error: ApiError): void {
  const body = JSON.stringify(error.toBody())
  res.statusCode = error.status
  res.setHeaders(
    new Map(
      Object.entries({
        ...error.headers,
        'content-type': JSON_TYPE,
        'content-length': String(Buffer.byteLength(body)),
      }),
    ),
  )
  // `res.end` may decide to close the connection, so it writes the headers.
  res.end(body)
}

/** Writes the response to a bare connection, and ends it. */
export function writeErrorResponse(socket: Duplex, error: ApiError): void {
  if (!socket.writable) return void socket.destroy()
  const body = JSON.stringify(error.toBody())
  socket.on('error', () => {
    socket.destroy()
  })
  endSoon(
    socket as Socket,
    [
      `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]!}`,
      `content-type: ${JSON_TYPE}`,
      'access-control-allow-origin: *',
      ...Object.entries(error.headers).map(([name, value]) => `${name}: ${value}`),
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}

/** Ends a connection that is no longer Node's, and cuts it off if the client does not end it. */
export function endSoon(socket: Socket, text = ''): void {
  socket.end(text)
  let left = MAX_END_BYTES
  // Reading it to its end shows that the client has ended it.
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
