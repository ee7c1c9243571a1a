import { createServer, type AddressInfo } from 'node:net'

/** A free port of the loopback, for programs that cannot choose one. */
export async function freePort(): Promise<number> {
  return await tryPort(0)
}

/** Below the ports that the system gives to connections, which could take it first. */
const [FIRST_RESERVED, RESERVED] = [20_000, 10_000]

/** As `freePort`, for a program that opens the port much later. */
export async function reservedPort(): Promise<number> {
  for (;;) {
    const port = FIRST_RESERVED + Math.floor(Math.random() * RESERVED)
    const free = await tryPort(port).catch(() => undefined)
    if (free !== undefined) return free
  }
}

async function tryPort(wanted: number): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(wanted, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
