/**
 * Receives what clients send by polling, instead of Engine.IO, which would decode bodies of any
 * size.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { ApiError } from '../contract/errors'
import { readBody } from '../http/body'
import { exchangeOf } from '../http/exchange'
import type { Limits } from '../limits'
import { UNPROVEN_BYTES, type Connection } from './connection'

/** Separates the packets of a poll. */
const SEPARATOR = 0x1e

/**
 * Receives a complete poll, within the limits of its connection.
 * @returns a request with the received body, for Engine.IO; undefined if the client has left
 * @throws ApiError ERR_BAD_REQUEST, ERR_BODY_TOO_LARGE, ERR_BODY_IN_PIECES, ERR_TOO_MANY_PACKETS,
 * ERR_RATE_LIMITED, ERR_SERVER_BUSY
 */
export async function receivePoll(
  req: IncomingMessage,
  res: ServerResponse,
  connection: Connection,
  { incoming, perAddress }: Pick<Limits, 'incoming' | 'perAddress'>,
): Promise<IncomingMessage | undefined> {
  const exchange = exchangeOf(req)
  const account = incoming.open(exchange.owners, () => {
    req.socket.destroy()
  })
  exchange.onWorkDone(() => {
    account.close()
  })
  res.once('close', () => {
    account.close()
  })
  const body = await readBody(req, connection.maxBytes, account)
  if (res.closed) return undefined
  if (!connection.open) throw new ApiError('ERR_BAD_REQUEST', 'This connection has ended.')
  if (countPackets(body) > connection.maxPollPackets) throw new ApiError('ERR_TOO_MANY_PACKETS')
  // Packets are counted when they are decoded, but a large body must not be decoded over the rate
  // limit.
  if (body.length > UNPROVEN_BYTES) await perAddress.consume(connection.address, 0)
  return replay(req, body)
}

function countPackets(body: Buffer): number {
  let count = 1
  for (let at = body.indexOf(SEPARATOR); at >= 0; at = body.indexOf(SEPARATOR, at + 1)) count++
  return count
}

/** A copy of the request with a body that can be read again. */
function replay({ method, url, headers, socket }: IncomingMessage, body: Buffer): IncomingMessage {
  return Object.assign(Readable.from(body, { objectMode: false }), {
    method,
    url,
    headers,
    socket,
    connection: socket,
  }) as unknown as IncomingMessage
}
