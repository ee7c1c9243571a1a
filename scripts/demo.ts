/** Two new wallets exchange messages with the released client, on a running or a new server. */
import { MessageBoxClient, type PeerMessage } from '@bsv/message-box-client'
import { PrivateKey, ProtoWallet, type WalletInterface } from '@bsv/sdk'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { loadDotEnv } from '../src/cli/environment'
import { explainFailure } from '../src/cli/failure'
import { parseConfig, readEnv } from '../src/config'
import { MessageBoxServer } from '../src/server'

interface Host {
  host: string
  stop: () => Promise<void>
}

async function findServer(): Promise<Host> {
  loadDotEnv()
  const { http } = parseConfig(readEnv(process.env))
  const host = `http://localhost:${http.port}${http.prefix}`
  try {
    const { ok } = await fetch(`${host}/health`, { signal: AbortSignal.timeout(1000) })
    if (ok) {
      console.log(`Using the server that runs at ${host}\n`)
      return { host, stop: async () => {} }
    }
  } catch {
    // No server runs there: the demo starts one.
  }
  return await startServer(host)
}

async function startServer(tried: string): Promise<Host> {
  const folder = mkdtempSync(join(tmpdir(), 'messagebox-demo-'))
  const config = parseConfig({
    NODE_ENV: 'test',
    PORT: '0',
    SERVER_PRIVATE_KEY: PrivateKey.fromRandom().toHex().padStart(64, '0'),
    ENABLE_WEBSOCKETS: 'true',
    KNEX_DB_CLIENT: 'better-sqlite3',
    KNEX_DB_CONNECTION: JSON.stringify({ filename: join(folder, 'demo.sqlite') }),
  })
  const server = await MessageBoxServer.create(config, { logger: pino({ level: 'silent' }) })
  const host = `http://localhost:${await server.start()}`
  console.log(`No server answers at ${tried}, so the demo started one of its own at ${host}\n`)
  return {
    host,
    async stop() {
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

interface Person {
  client: MessageBoxClient
  identityKey: string
}

function person(host: string): Person {
  const key = PrivateKey.fromRandom()
  const walletClient = new ProtoWallet(key) as unknown as WalletInterface
  return {
    client: new MessageBoxClient({ host, walletClient, networkPreset: 'local' }),
    identityKey: key.toPublicKey().toString(),
  }
}

async function tell(host: string): Promise<void> {
  const alice = person(host)
  const bob = person(host)
  console.log(`Alice is ${alice.identityKey}`)
  console.log(`Bob is   ${bob.identityKey}\n`)

  console.log('Alice sends Bob "Good morning, Bob!", encrypted to his key, into his box "letters".')
  const { messageId } = await alice.client.sendMessage(
    { recipient: bob.identityKey, messageBox: 'letters', body: 'Good morning, Bob!' },
    host,
  )
  console.log(`  The server stored it as ${messageId.slice(0, 16)}…\n`)

  console.log('Bob lists his box "letters". His client decrypts what the server cannot read.')
  const messages = await bob.client.listMessages({ messageBox: 'letters', host })
  for (const { sender, body } of messages)
    console.log(`  From ${sender.slice(0, 16)}…: ${JSON.stringify(body)}`)

  console.log('\nBob acknowledges the message, which deletes it.')
  await bob.client.acknowledgeMessage({
    messageIds: messages.map((message) => message.messageId),
    host,
  })
  const left = await bob.client.listMessages({ messageBox: 'letters', host })
  console.log(`  His box now holds ${left.length} messages.\n`)

  if (await hasLiveMessages(host)) await tellLive(host, alice, bob)
  else console.log('Live messages are off on this server: ENABLE_WEBSOCKETS=true turns them on.')
}

async function tellLive(host: string, alice: Person, bob: Person): Promise<void> {
  console.log('Now live: Bob listens to his box "chat", over a socket.')
  const { promise: heard, resolve: onMessage } = withResolvers<PeerMessage>()
  await bob.client.listenForLiveMessages({ messageBox: 'chat', onMessage })

  console.log('Alice sends "Are you there?" over hers.')
  await alice.client.sendLiveMessage(
    { recipient: bob.identityKey, messageBox: 'chat', body: 'Are you there?' },
    host,
  )
  const { sender, body, messageId } = await heard
  console.log(`  Bob hears from ${sender.slice(0, 16)}…: ${JSON.stringify(body)}\n`)

  console.log('The message is in his box as well, until he acknowledges it.')
  await bob.client.acknowledgeMessage({ messageIds: [messageId], host })
  console.log('  He did, and it is gone.\n')
  await Promise.all([alice.client.disconnectWebSocket(), bob.client.disconnectWebSocket()])
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void
  return {
    promise: new Promise<T>((settle) => {
      resolve = settle
    }),
    resolve,
  }
}

async function hasLiveMessages(host: string): Promise<boolean> {
  const { ok } = await fetch(`${new URL(host).origin}/socket.io/?EIO=4&transport=polling`)
  return ok
}

async function main(): Promise<void> {
  const { host, stop } = await findServer()
  try {
    await tell(host)
  } finally {
    await stop()
  }
}

main().catch(explainFailure)
