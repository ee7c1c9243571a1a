import { createServer, type AddressInfo } from 'node:net'

/** A port of the loopback that nobody used a moment ago, for programs that cannot be told to choose one. */
export async function freePort (): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(0, '127.0.0.1', resolve) })
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}
