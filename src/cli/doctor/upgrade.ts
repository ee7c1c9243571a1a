import { get as getHttp } from 'node:http'
import { get as getHttps } from 'node:https'
import { randomBytes } from 'node:crypto'
import { SOCKET_PATH } from '../../contract/protocol'

const UPGRADE_TIMEOUT_MS = 4000

/** @returns why a WebSocket does not open, or undefined if it does */
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
      timeout: UPGRADE_TIMEOUT_MS,
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
