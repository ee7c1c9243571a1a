/** The proxies of deploy/ in front of one server on the loopback, over plain HTTP. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../programs/freePort'
import { Child, eventually } from '../programs/processes'

interface RunningFront {
  port: number
  end: () => Promise<void>
}

export type Front = (serverPort: number) => Promise<RunningFront>

const DEPLOY = join(__dirname, '..', '..', 'deploy')

/** deploy/nginx.conf with other ports and without its certificate. */
const nginx: Front = async (serverPort) => {
  const folder = mkdtempSync(join(tmpdir(), 'messagebox-nginx-'))
  const port = await freePort()
  const site = readFileSync(join(DEPLOY, 'nginx.conf'), 'utf8')
    .replace('server 127.0.0.1:3000;', `server 127.0.0.1:${serverPort};`)
    .replace(/server \{\s+listen 80;[^}]*\}/, '')
    .replace(/listen 443 ssl;\s+listen \[::\]:443 ssl;/, `listen 127.0.0.1:${port};`)
    .replace(/ssl_certificate\S* .*;/g, '')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  )
  const config = `master_process off; daemon off; error_log ${folder}/error.log; pid ${folder}/pid;
events { worker_connections 8192; }
http {
  access_log off;
  ${temporary.join('\n  ')}
  ${site}
}`
  return await start('nginx', folder, config, port, (file) => ['-c', file, '-p', folder])
}

/** deploy/haproxy.cfg with other ports and without its certificate and its second node. */
const haproxy: Front = async (serverPort) => {
  const folder = mkdtempSync(join(tmpdir(), 'messagebox-haproxy-'))
  const port = await freePort()
  const config = readFileSync(join(DEPLOY, 'haproxy.cfg'), 'utf8')
    .replace('maxconn 20000', 'maxconn 4000')
    .replace('bind :80', `bind 127.0.0.1:${port}`)
    .replace(/ +bind :443 .*\n/, '')
    .replace(/ +http-request redirect .*\n/, '')
    .replace(/ +log global\n/, '')
    .replaceAll('10.0.0.1:3000', `127.0.0.1:${serverPort}`)
    .replaceAll(/ +server node2 .*\n/g, '')
  return await start('haproxy', folder, config, port, (file) => ['-f', file, '-db'])
}

async function start(
  program: string,
  folder: string,
  config: string,
  port: number,
  argumentsOf: (file: string) => string[],
): Promise<RunningFront> {
  const file = join(folder, `${program}.conf`)
  writeFileSync(file, config)
  const child = new Child(program, argumentsOf(file))
  await eventually(
    async () => {
      if (!child.running) throw new Error(`${program} has ended:\n${child.output}`)
      return (
        (await fetch(`http://127.0.0.1:${port}/health`).then(
          ({ ok }) => ok,
          () => false,
        )) || undefined
      )
    },
    () => `${program} does not answer:\n${child.output}`,
  )
  return {
    port,
    async end() {
      await child.end()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export const FRONTS: Record<string, Front | undefined> = { none: undefined, nginx, haproxy }

/** Whether a front is installed. */
export function canRun(front: string): boolean {
  return (
    front === 'none' ||
    spawnSync(front, ['-v'], { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } })
      .status === 0
  )
}
