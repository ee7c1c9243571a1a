/**
 * Lets unmodified clients find the servers of a test. The SDK's preset "local" uses only
 * http://localhost:8080, and the released client accepts only https hosts. This module redirects
 * the connections of this process, so port 8080 need not be free, and the clients run unchanged.
 */
import { Socket } from 'node:net'
import tls, { type ConnectionOptions } from 'node:tls'
import { makeCertificate } from './certificate'
import { onEnd } from '../servers/server'

interface Target {
  host?: string
  port?: number | string
}

/** Redirects connections to localhost:8080 to another port until the end of the file's tests. */
export function leadLocalPresetTo(port: number): void {
  const { connect } = Socket.prototype
  Socket.prototype.connect = function (this: Socket, ...parameters: unknown[]): Socket {
    // Node passes its options in an array.
    const [first] = parameters
    const options = (Array.isArray(first) ? first[0] : first) as Target
    if (options.host === 'localhost' && Number(options.port) === 8080)
      Object.assign(options, { host: '127.0.0.1', port })
    return connect.apply(this, parameters as never)
  } as typeof connect
  onEnd(() => {
    Socket.prototype.connect = connect
  })
}

const HTTPS_ADDRESS = '127.0.0.2'

/**
 * Puts a TLS proxy before a server. Its address is not local for clients, and this process trusts
 * its certificate.
 */
export async function behindTls(origin: string): Promise<string> {
  const { key, cert } = makeCertificate(HTTPS_ADDRESS)
  const server = tls.createServer({ key, cert, ALPNProtocols: ['http/1.1'] }, (socket) => {
    const inner = new Socket().connect(Number(new URL(origin).port), '127.0.0.1')
    socket
      .on('error', () => {
        inner.destroy()
      })
      .pipe(inner)
      .on('error', () => {
        socket.destroy()
      })
      .pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, HTTPS_ADDRESS, resolve))
  const { port } = server.address() as { port: number }
  onEnd(() => {
    server.close()
  })
  trust(port, cert)
  return `https://${HTTPS_ADDRESS}:${port}`
}

/** Works as NODE_EXTRA_CA_CERTS, which Node reads only at its start. */
function trust(port: number, ca: string): void {
  const { connect } = tls
  tls.connect = ((options: ConnectionOptions, ...rest: never[]) => {
    return connect(
      options.host === HTTPS_ADDRESS && Number(options.port) === port
        ? { ...options, ca }
        : options,
      ...rest,
    )
  }) as typeof connect
  onEnd(() => {
    tls.connect = connect
  })
}
