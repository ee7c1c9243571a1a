/** The beginning of every sample; the host is put in where it stands. */
export const SAMPLE_HOST = 'http://localhost:8080'
export const PRELUDE = `import { MessageBoxClient } from '@bsv/message-box-client'
import { PrivateKey, ProtoWallet } from '@bsv/sdk'

const host = '${SAMPLE_HOST}'
const wallet = new ProtoWallet(PrivateKey.fromRandom())
// "local" makes the client ask http://localhost:8080 where a recipient's host is, not the overlay network.
const client = new MessageBoxClient({ host, walletClient: wallet, networkPreset: 'local' })
`

/** What a program with the released client does to hear messages, behind `PRELUDE`. */
export const EVENTS_SAMPLE = `let onMessage
const arrival = new Promise(resolve => { onMessage = resolve })
await client.listenForLiveMessages({ messageBox: 'letters', overrideHost: host, onMessage })

const recipient = await client.getIdentityKey()
await client.sendLiveMessage({ recipient, messageBox: 'letters', body: 'To myself, live' }, host)
const { sender, body } = await arrival
console.log(sender, 'writes:', body)
await client.disconnectWebSocket()`
