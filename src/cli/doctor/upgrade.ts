import { get as getHttp } from 'node:http'
import { get as getHttps } from 'node:https'
import { randomBytes } from 'node:crypto'
import { SOCKET_PATH } from '../../contract/protocol'

/** How long an upgrade may take, in milliseconds. */
const TIMEOUT = 4000

/** Asks for a WebSocket: what came in its place, in words; undefined where it opened. */
export async function tryToUpgrade(origin: string): Promise<string | undefined> {
  const get = origin.startsWith('https:') ? getHttps : getHttp
  return await new Promise((resolve) => {
    const request = get(`${origin}${SOCKET_PATH}?EIO=4&transport=websocket`, {
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': randomBytes(16).toString('base64'),
      },
      timeout: TIMEOUT,
      agent: false,
    })
    const end = (what: string | undefined): void => {
      resolve(what)
      request.destroy()
    }
    request.on('upgrade', (_response, socket) => {
      socket.on('error', () => {})
      end(undefined)
    })
    request.on('response', (response) => {
      end(`the answer is ${response.statusCode ?? 'none'}`)
    })
    request.on('timeout', () => {
      end('there is no answer in time')
    })
    request.on('error', (error) => {
      end(error.message)
    })
  })
}
