/** Live servers and clients that close themselves when the file's tests are done. */
import { AuthSocketClient } from '@bsv/authsocket-client'
import { PrivateKey, ProtoWallet, type WalletInterface } from '@bsv/sdk'
import type { FlatEnv } from '../../src/config'
import type { AuthSocketServerOptions } from '../../src/ws/authSocketServer'
import { newClient, type Release, type TestClient } from './clients'
import type { Engine } from '../databases/databases'
import { LightSocket } from './lightSocket'
import { onEnd, startServer, type TestServer } from '../servers/server'
import { assertStrict } from '../contract/strict'

export async function startLive({
  engine,
  env = {},
  live = {},
}: { engine?: Engine; env?: FlatEnv; live?: AuthSocketServerOptions } = {}): Promise<TestServer> {
  return await startServer({
    ...(engine !== undefined && { engine }),
    env: { ENABLE_WEBSOCKETS: 'true', ...env },
    overrides: { live },
  })
}

export async function liveClient(
  host: string,
  options: { release?: Release; key?: PrivateKey } = {},
): Promise<TestClient> {
  const made = await newClient(host, options)
  keepSockets(made)
  onEnd(() => {
    socketsOf(made).forEach((socket) => socket.disconnect())
  })
  return made
}

/** All sockets of a client. The client forgets a lost socket, but the socket stays open. */
function socketsOf({ client }: TestClient): Array<{ disconnect: () => void }> {
  return (
    (client as unknown as { madeSockets?: Array<{ disconnect: () => void }> }).madeSockets ?? []
  )
}

function keepSockets({ client }: TestClient): void {
  const madeSockets: unknown[] = []
  let socket: unknown
  Object.defineProperty(client, 'madeSockets', { value: madeSockets })
  Object.defineProperty(client, 'socket', {
    get: () => socket,
    set(value) {
      socket = value
      if (value !== undefined) madeSockets.push(value)
    },
  })
}

export function lightSocket(...parameters: ConstructorParameters<typeof LightSocket>): LightSocket {
  const socket = new LightSocket(...parameters)
  socket.raw.on('authMessage', assertStrict)
  onEnd(() => {
    socket.close()
  })
  return socket
}

export interface AuthSocketUser {
  socket: ReturnType<typeof AuthSocketClient>
  identityKey: string
  next: (eventName: string) => Promise<unknown>
}

/** The released @bsv/authsocket-client on its own. */
export function authSocketUser(
  origin: string,
  options: Parameters<typeof AuthSocketClient>[1]['managerOptions'] = {},
): AuthSocketUser {
  const key = PrivateKey.fromRandom()
  const socket = AuthSocketClient(origin, {
    wallet: new ProtoWallet(key) as unknown as WalletInterface,
    managerOptions: { forceNew: true, ...options },
  })
  onEnd(() => {
    socket.disconnect()
  })
  const next = async (eventName: string): Promise<unknown> =>
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`${eventName} did not come`))
      }, 10_000)
      socket.on(eventName, (data) => {
        clearTimeout(timer)
        resolve(data)
      })
    })
  return { socket, identityKey: key.toPublicKey().toString(), next }
}

/** Polls until the condition holds, or until the test times out. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  timeout = 20_000,
): Promise<void> {
  const deadline = Date.now() + timeout
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('what was waited for did not happen')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
