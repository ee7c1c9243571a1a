import { createServer } from 'node:net'
import { foreign } from '../wording'
import type { Report } from './finding'
import type { Subject } from './check'
import { identityOf } from './settings'
import { ask } from './web'

export async function checkPort(subject: Subject, report: Report): Promise<void> {
  const { port, prefix } = subject.config.http
  if (port === 0 || subject.broken.has('PORT')) return
  const fault = await tryToListen(port)
  if (fault === undefined)
    return report.ok('port-free', `Port ${port} is free: no server runs there.`)
  if (fault !== 'EADDRINUSE')
    return report.problem(
      'port-not-allowed',
      `This user may not listen on port ${port} (${fault}).`,
      'Set PORT to 1024 or more, and put a proxy in front.',
    )
  const taken = (what: string): void => {
    report.problem(
      'port-taken',
      `Port ${port} is taken ${what}.`,
      'Stop the program that uses it, or set another PORT.',
    )
  }
  const info = await ask(`http://127.0.0.1:${port}${prefix}/info`).catch(() => undefined)
  if (info === undefined || typeof info.json.identityKey !== 'string')
    return taken('by another program, or by a server with another ROUTING_PREFIX')
  const identityKey = identityOf(subject)
  if (identityKey !== undefined && info.json.identityKey !== identityKey)
    return taken(`by a server of another identity, ${foreign(info.json.identityKey)}`)
  report.ok(
    'server-runs',
    `The server runs on port ${port}, version ${foreign(info.json.version)}.`,
  )
  await checkReady(`http://127.0.0.1:${port}${prefix}/ready`, report)
}

/** @returns the code of the error, or undefined if the port is free */
async function tryToListen(port: number): Promise<string | undefined> {
  const server = createServer()
  return await new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? error.message)
    })
    server.listen(port, () => {
      server.close(() => {
        resolve(undefined)
      })
    })
  })
}

async function checkReady(url: string, report: Report): Promise<void> {
  const { status, json } = await ask(url)
  if (status !== 200)
    report.problem(
      'not-ready',
      `The server is not ready: ${foreign(json.code)}.`,
      'Its log says why.',
    )
  else if (json.status !== 'ready')
    report.warning(
      'degraded',
      `The server is ${foreign(json.status)}: Redis is ${foreign(json.redis)} for it.`,
      'Check Redis, and the log of the server.',
    )
}
