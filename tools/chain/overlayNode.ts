/**
 * A node of the overlay network on the loopback, for SHIP, SLAP and advertisements of hosts. It is
 * independent of the server's code, and rejects what a topic manager does not admit.
 */
import { Hash, ProtoWallet, PublicKey, Transaction, Utils } from '@bsv/sdk'
import { createServer, type IncomingMessage } from 'node:http'
import { onEnd } from '../servers/server'

interface Token {
  fields: Buffer[]
  lockingKey: string
}

export interface NodeEntry {
  topic: string
  outpoint: string
  fields: Buffer[]
  beef: number[]
  outputIndex: number
}

const SERVICES: Record<string, string> = {
  ls_ship: 'tm_ship',
  ls_slap: 'tm_slap',
  ls_messagebox: 'tm_messagebox',
}

export class OverlayNode {
  /** The topics that the node rejects now. */
  readonly away = new Set<string>()
  /** The unspent tokens. */
  entries: NodeEntry[] = []
  /** All accepted submissions: the topic and the transaction's id. */
  readonly submitted: string[] = []
  port = 0

  static async start(): Promise<OverlayNode> {
    const node = new OverlayNode()
    const server = createServer((request, response) => {
      void node.#answer(request).then(([status, body]) => {
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onEnd(() => {
      server.closeAllConnections()
      server.close()
    })
    node.port = (server.address() as { port: number }).port
    return node
  }

  forget(): void {
    this.entries = []
    this.submitted.length = 0
    this.away.clear()
  }

  async #answer(request: IncomingMessage): Promise<[number, unknown]> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    if (request.url === '/lookup')
      return [
        200,
        this.#find(
          JSON.parse(body.toString()) as { service: string; query: { identityKey: string } },
        ),
      ]
    const topics = JSON.parse(String(request.headers['x-topics'])) as string[]
    if (topics.some((topic) => this.away.has(topic))) return [503, {}]
    return [
      200,
      Object.fromEntries(
        await Promise.all(
          topics.map(async (topic) => [
            topic,
            await this.#take(topic, Transaction.fromBEEF([...body])),
          ]),
        ),
      ),
    ]
  }

  #find({ service, query }: { service: string; query: { identityKey: string } }): object {
    const key = (fields: Buffer[]): string =>
      fields[service === 'ls_messagebox' ? 0 : 1]!.toString('hex')
    const outputs = this.entries.filter(
      ({ topic, fields }) => topic === SERVICES[service] && key(fields) === query.identityKey,
    )
    return {
      type: 'output-list',
      outputs: outputs.map(({ beef, outputIndex }) => ({ beef, outputIndex })),
    }
  }

  async #take(topic: string, transaction: Transaction): Promise<object> {
    if (!(await transaction.verify('scripts only')))
      throw new Error('The transaction does not hold')
    const spent = transaction.inputs.map(
      ({ sourceTXID, sourceTransaction, sourceOutputIndex }) =>
        `${sourceTXID ?? sourceTransaction!.id('hex')}.${sourceOutputIndex}`,
    )
    const coinsRemoved = spent.flatMap((outpoint, input) =>
      this.entries.some((entry) => entry.topic === topic && entry.outpoint === outpoint)
        ? [input]
        : [],
    )
    this.entries = this.entries.filter(
      (entry) => entry.topic !== topic || !spent.includes(entry.outpoint),
    )
    const outputsToAdmit: number[] = []
    for (const [outputIndex, { lockingScript }] of transaction.outputs.entries()) {
      const token = decode(Buffer.from(lockingScript.toBinary()))
      if (token === undefined || !(await isAdmissible(topic, token))) continue
      outputsToAdmit.push(outputIndex)
      const outpoint = `${transaction.id('hex')}.${outputIndex}`
      if (!this.entries.some((entry) => entry.topic === topic && entry.outpoint === outpoint))
        this.entries.push({
          topic,
          outpoint,
          fields: token.fields,
          beef: transaction.toBEEF(),
          outputIndex,
        })
    }
    this.submitted.push(`${topic} ${transaction.id('hex')}`)
    return { outputsToAdmit, coinsToRetain: [], coinsRemoved }
  }
}

/** PUSH key, CHECKSIG, PUSH each field, then a DROP for each field; a 2DROP counts as two. */
function decode(script: Buffer): Token | undefined {
  const pushes: Buffer[] = []
  let at = 0
  const push = (): void => {
    const op = script[at++]!
    const length = op < 0x4c ? op : op === 0x4c ? script[at++]! : NaN
    pushes.push(script.subarray(at, at + length))
    at += length
  }
  if (script[0] !== 33) return undefined
  push()
  if (script[at++] !== 0xac) return undefined
  while (at < script.length && script[at]! <= 0x4c) push()
  const [lockingKey, ...fields] = pushes
  const drops = `${'6d'.repeat(Math.floor(fields.length / 2))}${'75'.repeat(fields.length % 2)}`
  return script.subarray(at).toString('hex') === drops
    ? { fields, lockingKey: lockingKey!.toString('hex') }
    : undefined
}

const RULES: Record<string, { name?: string; subject?: string; protocolID: [1 | 2, string] }> = {
  tm_ship: { name: 'SHIP', subject: 'tm_messagebox', protocolID: [2, 'service host interconnect'] },
  tm_slap: {
    name: 'SLAP',
    subject: 'ls_messagebox',
    protocolID: [2, 'service lookup availability'],
  },
  tm_messagebox: { protocolID: [1, 'messagebox advertisement'] },
}

/**
 * A token has five fields, that of a host three. The last field is a signature over the others by
 * the identity key among them. The same identity derives the key that locks the output.
 */
async function isAdmissible(topic: string, { fields, lockingKey }: Token): Promise<boolean> {
  const { name, subject, protocolID } = RULES[topic]!
  const rest = [...fields]
  const signature = rest.pop()!
  const signed = Buffer.concat(rest)
  if (
    name !== undefined &&
    (rest.length !== 4 || rest.shift()!.toString() !== name || rest[2]!.toString() !== subject)
  )
    return false
  if (name === undefined && rest.length !== 2) return false
  const [key, host] = rest as [Buffer, Buffer]
  const counterparty = PublicKey.fromString(key.toString('hex')).toString()
  if (!/^https:\/\/[a-z.]+$/.test(host.toString())) return false
  const wallet = new ProtoWallet('anyone')
  const args = { protocolID, keyID: '1', counterparty }
  const { publicKey } = await wallet.getPublicKey(args)
  const { valid } = await wallet.verifySignature({
    ...args,
    hashToDirectlyVerify: Hash.sha256(Utils.toArray(signed.toString('hex'), 'hex')),
    signature: [...signature],
  })
  return valid && publicKey === lockingKey
}
