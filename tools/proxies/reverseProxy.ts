/** A small reverse proxy that can be misconfigured. */
import { createServer, request, type IncomingHttpHeaders } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { onEnd } from '../servers/server'

export interface Faults {
  path?: (path: string) => string
  requestHeaders?: (headers: IncomingHttpHeaders) => IncomingHttpHeaders
  requestBody?: (body: Buffer) => Buffer
  answerHeaders?: (headers: IncomingHttpHeaders) => IncomingHttpHeaders
  answerBody?: (body: Buffer) => Buffer
  /** If it returns a status, the proxy answers itself. */
  refuse?: (path: string, body: Buffer) => number | undefined
  dropUpgrades?: boolean
}

/** Starts a proxy in front of a server. @returns its address */
export async function startProxy(target: string, faults: Faults = {}): Promise<string> {
  const same = <T>(value: T): T => value
  const {
    path = same,
    requestHeaders = same,
    requestBody = same,
    answerHeaders = same,
    answerBody = same,
    refuse = () => undefined,
    dropUpgrades = false,
  } = faults
  const { hostname, port } = new URL(target)
  const proxy = createServer((req, res) => {
    const chunks: Buffer[] = []
    req
      .on('data', (chunk) => {
        chunks.push(chunk)
      })
      .on('end', () => {
        const body = Buffer.concat(chunks)
        const status = refuse(req.url!, body)
        if (status !== undefined)
          return void res.writeHead(status, { 'content-type': 'text/html' }).end('<h1>no</h1>')
        const passed = requestBody(body)
        const forwarded = {
          ...requestHeaders(withoutFraming(req.headers)),
          'x-forwarded-for': '192.0.2.1',
          ...(passed.length > 0 && { 'content-length': String(passed.length) }),
        }
        request(
          { hostname, port, method: req.method, path: path(req.url!), headers: forwarded },
          (answer) => {
            const parts: Buffer[] = []
            answer
              .on('data', (chunk) => {
                parts.push(chunk)
              })
              .on('end', () => {
                res
                  .writeHead(answer.statusCode!, answerHeaders(withoutFraming(answer.headers)))
                  .end(answerBody(Buffer.concat(parts)))
              })
          },
        )
          .on('error', () => {
            res.writeHead(502).end()
          })
          .end(passed)
      })
  })
  proxy.on('upgrade', (req, socket) => {
    if (dropUpgrades)
      return void socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')
    const onward = connect(Number(port), hostname, () => {
      const lines = Array.from(
        { length: req.rawHeaders.length / 2 },
        (_, i) => `${req.rawHeaders[2 * i]!}: ${req.rawHeaders[2 * i + 1]!}`,
      )
      onward.write(`${req.method!} ${req.url!} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
      onward.pipe(socket).pipe(onward)
    })
    const end = (): void => {
      ;[socket, onward].forEach((one) => one.destroy())
    }
    for (const one of [socket, onward]) one.on('error', end).on('close', end)
  })
  await new Promise<void>((resolve) => {
    proxy.listen(0, '127.0.0.1', resolve)
  })
  onEnd(async () => {
    proxy.closeAllConnections()
    await new Promise((resolve) => proxy.close(resolve))
  })
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
}

/** Hop-by-hop headers, which a proxy does not forward. */
function withoutFraming(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(
    Object.entries(headers).filter(
      ([name]) => !['connection', 'content-length', 'transfer-encoding'].includes(name),
    ),
  )
}
