/** An inbox in the browser, made with the released client. */
import { clearLastError } from './tapFetch'
import { Random, Utils, type PrivateKey } from '@bsv/sdk'
import { Connection, type State } from './connection'
import { byId, onSubmit, tell, type Fields } from './dom'
import { showFrames } from './frameList'
import { currentKey, newKey } from './key'
import { Messages } from './messages'
import { inWords, shortKey, toHost } from './words'

let key: PrivateKey = currentKey()
let connection: Connection | undefined
const messages = new Messages(acknowledge)
const field = (id: string): HTMLInputElement => byId<HTMLInputElement>(id)

function identity(): string {
  return key.toPublicKey().toString()
}

function connect(): void {
  connection?.close()
  messages.clear()
  tell(byId('listed'), '')
  byId('identity').textContent = identity()
  const host = toHost(field('host').value)
  if (host === undefined) {
    connection = undefined
    offerSocket(false)
    tell(
      byId('state'),
      'This is not the address of a server. Write it like https://box.example.com.',
      'bad',
    )
    return
  }
  field('host').value = host
  const messageBox = field('box').value.trim()
  connection = new Connection(
    { key, host, messageBox },
    {
      onState: showState,
      onMessage: (message) => {
        tell(byId('listed'), '')
        messages.add(message, 'live')
      },
      onReady: () => {
        void list()
      },
    },
  )
}

/** Enables the choice "the socket" if the server has live messages, and selects a valid choice. */
function offerSocket(live: boolean): void {
  const [socket, http] = [field('over-socket'), field('over-http')]
  if (live === !socket.disabled) return
  socket.disabled = !live
  ;(live ? socket : http).checked = true
}

function showState(state: State): void {
  const line = byId('state')
  if (state.kind === 'live' || state.kind === 'silent') offerSocket(state.kind === 'live')
  if (state.kind === 'live') tell(line, 'Connected: messages arrive live.', 'good')
  else if (state.kind === 'silent')
    tell(line, 'Connected. Live messages are off at this server: list the box.', 'good')
  else if (state.kind === 'connecting') tell(line, 'Connecting…')
  else tell(line, `${state.reason} Next attempt in ${state.seconds} s.`, 'bad')
}

/** Runs `work` and shows its result or its error in `line`. */
async function attempt(
  line: HTMLElement,
  work: (to: Connection) => Promise<string>,
): Promise<boolean> {
  tell(line, '')
  clearLastError()
  try {
    if (connection === undefined)
      throw new Error('Not connected: enter the address of a server first.')
    tell(line, await work(connection), 'good')
    return true
  } catch (error) {
    tell(line, inWords(error), 'bad')
    return false
  }
}

async function list(): Promise<void> {
  await attempt(byId('listed'), async ({ client, target: { host, messageBox } }) => {
    const found = await client.listMessages({ messageBox, host })
    messages.settle(found)
    return found.length === 0
      ? `The box “${messageBox}” is empty.`
      : `${found.length} in the box “${messageBox}”.`
  })
}

async function acknowledge(messageId: string): Promise<void> {
  const done = await attempt(byId('listed'), async ({ client, target: { host } }) => {
    await client.acknowledgeMessage({ messageIds: [messageId], host })
    return 'Acknowledged: the server has deleted it.'
  })
  if (!done) throw new Error('not acknowledged')
}

async function send(fields: Fields): Promise<void> {
  const sent = await attempt(byId('sent'), async ({ client, isLive, target: { host } }) => {
    // The client derives the id from the text, so the same text would be the same message.
    const message = {
      recipient: fields('recipient').toLowerCase(),
      messageBox: fields('box'),
      body: fields('body'),
      messageId: Utils.toHex(Random(16)),
    }
    const overSocket = fields('over') === 'socket'
    if (overSocket && isLive) await client.sendLiveMessage(message, host)
    else await client.sendMessage(message, host)
    const instead = overSocket && !isLive ? ' Sent over HTTP, since there is no socket.' : ''
    const stored = `Stored for ${shortKey(message.recipient)}, in the box “${message.messageBox}”.`
    return stored + instead
  })
  if (sent) field('body').value = ''
}

async function permit(fields: Fields): Promise<void> {
  await attempt(byId('permitted'), async ({ client, target: { host } }) => {
    const [messageBox, sender, recipientFee] = [
      fields('box'),
      fields('sender').toLowerCase(),
      Number(fields('fee')),
    ]
    await client.setMessageBoxPermission(
      { messageBox, recipientFee, ...(sender !== '' && { sender }) },
      host,
    )
    const who = sender === '' ? 'Any sender' : shortKey(sender)
    const may =
      recipientFee < 0
        ? 'is blocked'
        : recipientFee === 0
          ? 'may write for free'
          : `may write for ${recipientFee} satoshis`
    return `${who} ${may}, in the box “${messageBox}”.`
  })
}

showFrames()
field('host').value = `${location.origin}${byId('try').dataset.prefix ?? ''}`
byId('new-key').addEventListener('click', () => {
  key = newKey()
  connect()
})
byId('to-myself').addEventListener('click', () => {
  field('recipient').value = identity()
})
byId('list').addEventListener('click', () => {
  void list()
})
onSubmit(byId<HTMLFormElement>('connect'), async () => {
  connect()
})
onSubmit(byId<HTMLFormElement>('send'), send)
onSubmit(byId<HTMLFormElement>('permit'), permit)
connect()
