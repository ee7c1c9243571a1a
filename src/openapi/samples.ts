/** The host in the samples. The documents replace it with the server's own. */
export const SAMPLE_HOST = 'http://localhost:8080'
/** The first lines of every sample. */
export const PRELUDE = `import { MessageBoxClient } from '@bsv/message-box-client'
import { PrivateKey, ProtoWallet } from '@bsv/sdk'

const host = '${SAMPLE_HOST}'
const wallet = new ProtoWallet(PrivateKey.fromRandom())
// With "local" the client looks up hosts at http://localhost:8080, not on the overlay network.
const client = new MessageBoxClient({ host, walletClient: wallet, networkPreset: 'local' })
`

/** A program that receives live messages with the released client. It follows `PRELUDE`. */
export const EVENTS_SAMPLE = `let onMessage
const arrival = new Promise(resolve => { onMessage = resolve })
await client.listenForLiveMessages({ messageBox: 'letters', overrideHost: host, onMessage })

const recipient = await client.getIdentityKey()
await client.sendLiveMessage({ recipient, messageBox: 'letters', body: 'To myself, live' }, host)
const { sender, body } = await arrival
console.log(sender, 'writes:', body)
await client.disconnectWebSocket()`
