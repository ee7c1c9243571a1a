/** GET /docs/events: the events of the socket, from the document that /asyncapi.json serves. */
import { EVENTS_SAMPLE, PRELUDE, SAMPLE_HOST } from '../../openapi/samples'
import type { JsonSchema } from '../../contract/schema'
import type { EventsDocument, MessageDocument, Reference } from '../../ws/events/asyncapi'
import { html, type Content, type Html } from '../html'
import type { Page, Site } from '../layout'
import { fieldTable, resolverOf, typeBody, type Resolve } from './fields'
import { codeBlock, line, prose } from './prose'

/** @param live whether ENABLE_WEBSOCKETS is on */
export function eventsPage(document: EventsDocument, { prefix }: Site, live: boolean): Page {
  return {
    title: 'Events',
    path: '/docs/events',
    wide: true,
    content: content(document, prefix, live),
  }
}

function content(document: EventsDocument, prefix: string, live: boolean): Html {
  const resolve = resolverOf(document)
  const operations = Object.entries(document.operations)
  return html`<h1>Events of the socket</h1>
    <p class="lead">
      Live messages over Socket.IO. The same as <a href="${prefix}/asyncapi.json">AsyncAPI 3</a>;
      the rest of the API is <a href="${prefix}/docs">over HTTP</a>.
    </p>
    <p>
      ${
        live
          ? 'Live messages are on at this server.'
          : 'Live messages are off at this server. ENABLE_WEBSOCKETS=true turns them on.'
      }
    </p>
    <nav aria-label="Contents" class="contents">
      <ul>
        <li><a href="#basics">Basics</a></li>
        <li><a href="#client">With the released client</a></li>
        <li>
          <a href="#operations">Events</a>
          <ul>
            ${operations.map(
              ([id, { messages }]) =>
                html`<li>
                  <a href="#${id}"
                    >${eventsOf(messages, document)
                      .map(({ name }) => name)
                      .join(', ')}</a
                  >
                </li>`,
            )}
          </ul>
        </li>
        <li><a href="#types">Types</a></li>
      </ul>
    </nav>
    <section aria-labelledby="basics">
      <h2 id="basics">Basics</h2>
      ${prose(document.info.description.trim())}
    </section>
    <section aria-labelledby="client">
      <h2 id="client">With the released client</h2>
      ${codeBlock(
        `${PRELUDE.replace(SAMPLE_HOST, `${SAMPLE_HOST}${prefix}`)}\n${EVENTS_SAMPLE}\n`,
        'a program that listens',
      )}
    </section>
    <section aria-labelledby="operations">
      <h2 id="operations">Events</h2>
      ${operations.map((operation) => operationPart(operation, document, resolve))}
    </section>
    <section aria-labelledby="types">
      <h2 id="types">Types</h2>
      ${Object.entries(document.components.schemas).map(
        ([name, schema]) =>
          html`<h3 id="${name}">${name}</h3>
            ${typeBody(name, schema, resolve)} `,
      )}
    </section>`
}

function operationPart(
  [id, { action, summary, messages, reply }]: [string, EventsDocument['operations'][string]],
  document: EventsDocument,
  resolve: Resolve,
): Html {
  const sent = eventsOf(messages, document)
  return html`<details class="operation">
    <summary>
      <h3>
        <span class="badge">${action === 'receive' ? 'to the server' : 'from the server'}</span>
        ${sent.map(({ name }) => html`<code>${name}</code> `)}<span class="quiet">${summary}</span>
      </h3>
    </summary>
    <div id="${id}">
      ${sent.map((event) => eventPart(event, resolve))}
      ${
        reply !== undefined && [
          html`<h4>Answers</h4>`,
          eventsOf(reply.messages, document).map((event) => [
            html`<p><code>${event.name}</code></p>`,
            eventPart(event, resolve),
          ]),
        ]
      }
    </div>
  </details> `
}

function eventPart(
  { name, summary, payload, examples = [] }: MessageDocument,
  resolve: Resolve,
): Content {
  return [
    summary !== undefined && html`<p>${line(summary)}</p>`,
    fieldTable(
      payload.$ref === undefined ? payload : inline(payload, resolve),
      resolve,
      `Data of ${name}`,
    ),
    examples.map((example) =>
      codeBlock(JSON.stringify(example.payload, null, 2), `an example of ${name}`),
    ),
  ]
}

/** Resolves a reference to an object, whose fields the event shows. Other types keep their name. */
function inline(reference: JsonSchema, resolve: Resolve): JsonSchema {
  const named = resolve(reference.$ref as string)
  return named.type === 'object' ? named : reference
}

function eventsOf(references: Reference[], document: EventsDocument): MessageDocument[] {
  return references.map(({ $ref }) => document.components.messages[$ref.split('/').at(-1)!]!)
}
