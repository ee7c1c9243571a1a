/**
 * Simulates Google: it issues access tokens, and answers push messages as Firebase Cloud Messaging
 * does. Servers under test trust its TLS certificate for Google's names.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onEnd } from './server'

/**
 * Whether a test that needs openssl can run. If not, prints a line.
 * @throws Error with CI=true if not
 */
export function canRunGoogle(): boolean {
  if (spawnSync('openssl', ['version']).status === 0) return true
  const text = 'NO openssl HERE: WHAT IS TESTED WITH PUSH MESSAGES'
  if (process.env.CI === 'true') throw new Error(`${text} CANNOT RUN`)
  process.stderr.write(`\n*** ${text} IS SKIPPED. Install openssl. ***\n`)
  return false
}

export const serviceAccount = {
  type: 'service_account',
  project_id: 'a-project',
  client_email: 'push@a-project.iam.gserviceaccount.com',
  private_key: generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  }).privateKey,
}

export interface PushedMessage {
  token: string
  notification: Record<string, unknown>
  data: Record<string, string>
}

const refusal = (
  code: number,
  status: string,
  errorCode: string,
  message: string,
): [number, object] => [
  code,
  {
    error: {
      code,
      message,
      status,
      details: [{ '@type': 'type.googleapis.com/google.firebase.fcm.v1.FcmError', errorCode }],
    },
  },
]

export const UNREGISTERED = refusal(
  404,
  'NOT_FOUND',
  'UNREGISTERED',
  'Requested entity was not found.',
)
export const NO_TOKEN = refusal(
  400,
  'INVALID_ARGUMENT',
  'INVALID_ARGUMENT',
  'The registration token is not a valid FCM registration token',
)
export const BAD_MESSAGE = refusal(
  400,
  'INVALID_ARGUMENT',
  'INVALID_ARGUMENT',
  'Request contains an invalid argument.',
)
export const BROKEN = refusal(500, 'INTERNAL', 'INTERNAL', 'Internal error encountered.')

export class TestGoogle {
  /** All requests, with their headers. */
  readonly received: string[] = []
  readonly pushed: PushedMessage[] = []
  /** The answer to a push by its token, by default success. */
  readonly answers = new Map<string, [number, object]>()
  /** The number of pushes that wait for an answer, and its maximum. */
  open = 0
  mostOpen = 0
  #held: Array<() => void> | undefined

  private constructor(
    private readonly server: Server,
    private readonly certificate: string,
  ) {}

  static async start(): Promise<TestGoogle> {
    const folder = mkdtempSync(join(tmpdir(), 'messagebox-google-'))
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
        '-subj',
        '/CN=Google in tests',
        '-addext',
        'subjectAltName=DNS:*.googleapis.com',
        '-keyout',
        key,
        '-out',
        certificate,
      ],
      { stdio: 'ignore' },
    )
    const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) })
    const google = new TestGoogle(server, certificate)
    server.on('request', (req, res) => {
      let body = ''
      req.on('data', (chunk) => {
        body += String(chunk)
      })
      req.on('end', () => {
        google.received.push(
          `${req.method!} ${req.headers.host!}${req.url!} ${JSON.stringify(req.headers)} ${body}`,
        )
        google.#answer(
          `${req.headers.host!}${req.url!}`,
          String(req.headers.authorization),
          body,
          res,
        )
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onEnd(async () => {
      google.release()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      rmSync(folder, { recursive: true, force: true })
    })
    return google
  }

  /** The environment of a server that sends its pushes here. */
  get env(): Record<string, string> {
    return {
      NODE_OPTIONS: `--require ${JSON.stringify(join(__dirname, 'asGoogle.js'))}`,
      NODE_EXTRA_CA_CERTS: this.certificate,
      GOOGLE_PORT: String((this.server.address() as AddressInfo).port),
      ENABLE_FIREBASE: 'true',
      FIREBASE_SERVICE_ACCOUNT_JSON: JSON.stringify(serviceAccount),
    }
  }

  /** Stops answering pushes until `release`. */
  hold(): void {
    this.#held ??= []
  }

  /** Answers all pushes that wait. */
  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const answer of held) answer()
  }

  /** The tokens of the pushes for a message, sorted. */
  tokensOf(messageId: string): string[] {
    return this.pushed
      .filter(({ data }) => data.messageId === messageId)
      .map(({ token }) => token)
      .sort()
  }

  #answer(target: string, authorization: string, body: string, res: ServerResponse): void {
    const json = (status: number, content: object): void => {
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(content))
    }
    if (target === 'oauth2.googleapis.com/token')
      return json(200, { access_token: 'granted', expires_in: 3600, token_type: 'Bearer' })
    if (target !== `fcm.googleapis.com/v1/projects/${serviceAccount.project_id}/messages:send`)
      return json(...refusal(404, 'NOT_FOUND', 'NONE', `nothing at ${target}`))
    if (authorization !== 'Bearer granted')
      return json(...refusal(401, 'UNAUTHENTICATED', 'THIRD_PARTY_AUTH_ERROR', 'no access'))
    const { message } = JSON.parse(body) as { message: PushedMessage }
    this.pushed.push(message)
    this.mostOpen = Math.max(this.mostOpen, ++this.open)
    const answer = (): void => {
      this.open--
      json(
        ...(this.answers.get(message.token) ?? [
          200,
          { name: `projects/${serviceAccount.project_id}/messages/1` },
        ]),
      )
    }
    if (this.#held === undefined) answer()
    else this.#held.push(answer)
  }
}
