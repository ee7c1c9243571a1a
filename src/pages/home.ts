/** GET /: an overview page. If the client asks for JSON, the answer is that of /info. */
import type { Request, RequestHandler } from 'express'
import { formatNumber, formatBytes } from '../lib/format'
import type { CurrentInfo, Info } from '../operator/info'
import { descriptionList, type Fact } from './descriptionList'
import { html, type Content, type Html } from './html'
import { pageHandler, type PageParts } from './page'

export interface HomeParts extends PageParts {
  info: () => CurrentInfo
  status: (req: Request) => Promise<Status>
}

interface Status {
  ready: boolean
  text: string
}

export function homeHandler(parts: HomeParts): RequestHandler {
  const { info, site, status } = parts
  const page = pageHandler(parts, async (req) => ({
    title: 'MessageBox server',
    path: '/',
    content: home(info(), site, await status(req)),
  }))
  return async (req, res, next) => {
    res.vary('accept')
    if (req.accepts(['html', 'json']) === 'json') res.json(info())
    else await page(req, res, next)
  }
}

/** Used if HOSTING_DOMAIN is not set. web/page.js replaces it with the origin of the page. */
const DEFAULT_HOST = 'http://localhost:8080'

function home(info: Info, site: PageParts['site'], status: Status): Html {
  return html`<h1>MessageBox server</h1>
    <p class="lead">
      It stores messages until their recipients read them. A client sends a message to an identity
      key, into a named box, whether or not the recipient is online.
    </p>
    ${
      site.hasTry &&
      html`<p><a class="button main" href="${site.prefix}/try">Try it in this browser</a></p>`
    }

    <section aria-labelledby="identity">
      <h2 id="identity">Identity</h2>
      <div class="card">
        <p class="quiet">The key that signs this server's responses:</p>
        <code class="key" data-copy="the identity key">${info.identityKey}</code>
      </div>
    </section>

    <section aria-labelledby="status">
      <h2 id="status">Status</h2>
      ${descriptionList(statusOf(info, status))}
    </section>

    <section aria-labelledby="fees">
      <h2 id="fees">Fees</h2>
      ${fees(info)}
    </section>

    <section aria-labelledby="limits">
      <h2 id="limits">Limits</h2>
      ${descriptionList(limitsOf(info))}
    </section>

    <section aria-labelledby="use">
      <h2 id="use">Use it</h2>
      ${use(site)}
      <h3 id="first">A first message</h3>
      ${example(`${new URL(info.hostingDomain ?? DEFAULT_HOST).origin}${site.prefix}`, site.prefix)}
    </section>`
}

function statusOf({ network, version, features }: Info, { ready, text }: Status): Fact[] {
  return [
    ['Server', html`<strong class="${ready ? 'good' : 'bad'}">${text}</strong>`],
    [
      'Live messages',
      features.live === true
        ? 'on: clients receive a message as soon as it is stored'
        : 'off: clients list their boxes',
    ],
    [
      'Payments',
      features.payments === true
        ? 'on: a recipient may charge for a box'
        : 'off: messages with a price are rejected',
    ],
    ['Network', network],
    ['Version', version],
  ]
}

function fees({ deliveryFees }: Info): Content {
  const boxes = Object.entries(deliveryFees).filter(([, fee]) => fee > 0)
  const own = html`<p>
    Recipients may set prices for their boxes. A client can ask for the price before it sends.
  </p>`
  if (boxes.length === 0)
    return html`<p>This server charges nothing for delivery.</p>
      ${own}`
  const rows = boxes.map(
    ([box, fee]) =>
      html`<tr>
        <th scope="row"><code>${box}</code></th>
        <td>${formatNumber(fee)} ${fee === 1 ? 'satoshi' : 'satoshis'}</td>
      </tr>`,
  )
  return html`<p>What this server charges for delivery, by box. All other boxes are free.</p>
    <table>
      <thead>
        <tr>
          <th scope="col">Box</th>
          <th scope="col">Delivery fee</th>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
    ${own}`
}

function limitsOf({ limits }: Info): Fact[] {
  const { rates, quotas } = limits
  const stored = ({ messages, bytes }: Info['limits']['quotas']['inbox']): Content => {
    const bounds = [
      messages !== null && `${formatNumber(messages)} messages`,
      bytes !== null && formatBytes(bytes),
    ].filter((bound) => bound !== false)
    return bounds.length === 0 ? 'no limit' : bounds.join(' and ')
  }
  const rate = (count: number | null): string =>
    count === null ? 'no limit' : `${formatNumber(count)} a minute`
  return [
    [
      'A request',
      `up to ${formatBytes(limits.bodyBytes)}, and ${formatNumber(limits.recipients)} recipients`,
    ],
    ['A live message', `up to ${formatBytes(limits.liveBodyBytes)}; a larger one goes over HTTP`],
    ['Requests from one address', rate(rates.address)],
    ['Requests from one identity', rate(rates.identity)],
    ['Messages in one inbox', stored(quotas.inbox)],
    ['Unread messages of one sender', stored(quotas.sender)],
    [
      'Messages are kept',
      limits.retentionDays === null
        ? 'until the recipient acknowledges them'
        : 'until the recipient acknowledges them, ' +
          `at most ${formatNumber(limits.retentionDays)} days`,
    ],
  ]
}

function use({ prefix, hasTry }: PageParts['site']): Html {
  return html`<ul>
    ${
      hasTry &&
      html`<li>
        <a href="${prefix}/try">Try it</a>: an inbox in the browser that shows all requests and
        events.
      </li>`
    }
    <li>
      <a href="${prefix}/docs">The HTTP API</a>, also as
      <a href="${prefix}/openapi.json">OpenAPI</a>.
    </li>
    <li>
      <a href="${prefix}/docs/events">The events of the socket</a>, also as
      <a href="${prefix}/asyncapi.json">AsyncAPI</a>.
    </li>
    <li><a href="${prefix}/info">This page as JSON</a>.</li>
  </ul>`
}

function example(host: string, prefix: string): Html {
  return html`<p>In a new folder, with Node 20 or later:</p>
    <pre tabindex="0" aria-label="Commands"><code data-copy="the commands">npm init -y
npm install @bsv/message-box-client @bsv/sdk</code></pre>
    <p>Save this as <code>hello.mjs</code>, and run <code>node hello.mjs</code>:</p>
    <pre
      tabindex="0"
      aria-label="hello.mjs"
    ><code data-copy="the program">import { MessageBoxClient } from '@bsv/message-box-client'
import { PrivateKey, ProtoWallet } from '@bsv/sdk'

const host = '<span data-origin="${prefix}">${host}</span>'

function createPerson () {
  const key = PrivateKey.fromRandom()
  const walletClient = new ProtoWallet(key)
  // With "local" the client looks up hosts at http://localhost:8080.
  const client = new MessageBoxClient({ host, walletClient, networkPreset: 'local' })
  return { client, identityKey: key.toPublicKey().toString() }
}

const [alice, bob] = [createPerson(), createPerson()]
await alice.client.sendMessage({
  recipient: bob.identityKey,
  messageBox: 'letters',
  body: 'Good morning!'
}, host)

const messages = await bob.client.listMessages({ messageBox: 'letters', host })
for (const { body, messageId } of messages) {
  console.log('Bob reads:', body)
  await bob.client.acknowledgeMessage({ messageIds: [messageId], host })
}</code></pre>`
}
