/** GET /docs: the HTTP API, from the document that /openapi.json serves. */
import { ERRORS, type ErrorCode } from '../../contract/errors'
import type { OpenApiDocument } from '../../openapi/document'
import type { JsonSchema } from '../../contract/schema'
import { html, type Content, type Html } from '../html'
import type { Page, Site } from '../layout'
import { resolverOf, scrollingTable, typeOf } from './fields'
import { codesIn, operationPart, operationsOf, typePart, type Placed } from './operations'
import { line, prose } from './prose'

export function docsPage(document: OpenApiDocument, { prefix }: Site): Page {
  return { title: 'HTTP API', path: '/docs', wide: true, content: content(document, prefix) }
}

function content(document: OpenApiDocument, prefix: string): Html {
  const operations = operationsOf(document)
  const tags = document.tags as Array<{ name: string; description: string }>
  const groups = tags.map((tag) => ({
    ...tag,
    id: tag.name.toLowerCase(),
    operations: operations.filter(({ operation }) => operation.tags.includes(tag.name)),
  }))
  const types = Object.entries(document.components.schemas).filter(([name]) => !(name in ERRORS))
  const resolve = resolverOf(document)
  const brc104 = document.components.securitySchemes!.brc104 as { description: string }
  return html`<h1>HTTP API</h1>
    <p class="lead">
      Every route, field, limit and error of this server. The same as
      <a href="${prefix}/openapi.json">OpenAPI 3.1</a>; the socket has its own page,
      <a href="${prefix}/docs/events">Events</a>.
    </p>
    ${contents(groups)}
    <section aria-labelledby="basics">
      <h2 id="basics">Basics</h2>
      ${prose(document.info.description)}
    </section>
    ${groups.map(
      ({ id, name, description, operations }) =>
        html`<section aria-labelledby="${id}">
          <h2 id="${id}">${name}</h2>
          <p>${description}</p>
          ${name === 'Authentication' && prose(brc104.description)}
          ${operations.map((placed) => operationPart(document, placed))}
        </section> `,
    )}
    <section aria-labelledby="types">
      <h2 id="types">Types</h2>
      ${types.map(([name, schema]) => typePart(name, schema, resolve))}
    </section>
    <section aria-labelledby="errors">
      <h2 id="errors">Errors</h2>
      <p>
        An error is <code>{"status": "error", "code", "description"}</code>, some with more fields.
        A client should use the code, not the description.
      </p>
      ${errorParts(document, operations)}
    </section>`
}

function contents(groups: Array<{ id: string; name: string; operations: Placed[] }>): Html {
  const item = ({ id, name, operations }: (typeof groups)[number]): Html =>
    html`<li>
      <a href="#${id}">${name}</a>
      <ul>
        ${operations.map(
          ({ operation, method, path }) =>
            html`<li>
              <a href="#${operation.operationId}">${method.toUpperCase()} ${path}</a>
            </li>`,
        )}
      </ul>
    </li>`
  return html`<nav aria-label="Contents" class="contents">
    <ul>
      <li><a href="#basics">Basics</a></li>
      ${groups.map(item)}
      <li><a href="#types">Types</a></li>
      <li><a href="#errors">Errors</a></li>
    </ul>
  </nav>`
}

function errorParts(document: OpenApiDocument, operations: Placed[]): Content {
  const { schemas, examples } = document.components as OpenApiDocument['components'] & {
    examples: Record<string, { summary: string; value: unknown }>
  }
  const codes = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => code in examples)
  const rows = codes.map(
    (code) =>
      html`<tr>
        <th scope="row" id="${code}"><code>${code}</code></th>
        <td>${ERRORS[code].status}</td>
        <td>${line(examples[code]!.summary)}${detailsOf(schemas[code]!, examples[code]!.value)}</td>
        <td>${answering(operations, code)}</td>
      </tr> `,
  )
  return scrollingTable('Table of errors', ['Code', 'Status', 'Meaning', 'From'], rows)
}

/** The fields that this error has and others do not. */
function detailsOf(schema: JsonSchema, example: unknown): Content {
  const own = Object.entries(schema.properties as Record<string, JsonSchema>).filter(
    ([name]) => !['status', 'code', 'description'].includes(name),
  )
  return (
    own.length > 0 &&
    html`<ul>
        ${own.map(
          ([name, field]) =>
            html`<li>
              <code>${name}</code>: ${typeOf(field)}. ${line((field.description ?? '') as string)}
            </li>`,
        )}
      </ul>
      <p><code>${JSON.stringify(example)}</code></p>`
  )
}

function answering(operations: Placed[], code: string): Content {
  const from = operations.filter(({ operation }) =>
    Object.values(operation.responses).some((response) => codesIn(response).includes(code)),
  )
  if (from.length === 0) return 'requests to other paths'
  if (from.length === operations.length) return 'every operation'
  const closed = operations.filter(({ operation }) => operation.security.length > 0)
  const all = closed.every((placed) => from.includes(placed))
  const links = from
    .filter((placed) => !all || !closed.includes(placed))
    .map(({ operation: { operationId } }) => html`<a href="#${operationId}">${operationId}</a>`)
  return [...(all ? ['every operation that needs an identity'] : []), ...links].map((part, at) => [
    at > 0 && ', ',
    part,
  ])
}
