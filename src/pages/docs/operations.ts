/** Shows each operation of an OpenAPI document as a `<details>` element. */
import type { OpenApiDocument } from '../../openapi/document'
import type { JsonSchema } from '../../contract/schema'
import { html, type Content, type Html } from '../html'
import { fieldTable, resolverOf, typeBody, type Resolve } from './fields'
import { codeBlock, jsonBlock, line, prose } from './prose'

interface Operation {
  operationId: string
  tags: string[]
  summary: string
  description: string
  security: object[]
  parameters?: Array<{
    $ref?: string
    name?: string
    in?: string
    required?: boolean
    description?: string
    schema: JsonSchema
    examples?: Examples
  }>
  requestBody?: { description: string; content: Media }
  responses: Record<string, { description: string; content?: Media }>
  'x-codeSamples': Array<{ source: string }>
}

type Examples = Record<string, { value?: unknown }>
/** By media type. Each body has one. */
type Media = Record<string, { schema: JsonSchema; examples: Examples }>

const JSON_TYPE = 'application/json'

export interface Placed {
  method: string
  path: string
  operation: Operation
}

/** @returns all operations, in the order of the document */
export function operationsOf({ paths }: OpenApiDocument): Placed[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => method !== 'servers')
      .map(([method, operation]) => ({ method, path, operation: operation as Operation })),
  )
}

/** @returns the error codes of a response */
export function codesIn({ content }: { content?: Media }): string[] {
  return Object.keys(content?.[JSON_TYPE]?.examples ?? {})
}

/** The id is inside `<details>`, so that a link to it opens the element. */
export function operationPart(
  document: OpenApiDocument,
  { method, path, operation }: Placed,
): Html {
  const {
    operationId: id,
    summary,
    description,
    security,
    parameters = [],
    requestBody,
    responses,
  } = operation
  const resolve = resolverOf(document)
  const succeeding = Object.entries(responses).filter(([status]) => Number(status) < 400)
  const failing = Object.entries(responses).filter(([status]) => Number(status) >= 400)
  const queried = parameters.filter(({ in: place }) => place === 'query')
  const headed = parameters.filter(({ in: place }) => place === 'header')
  return html`<details class="operation">
    <summary>
      <h3>
        <span class="badge">${method.toUpperCase()}</span> <code>${path}</code>
        <span class="quiet">${summary}</span>
      </h3>
    </summary>
    <div id="${id}">
      ${prose(description)}
      <p>
        ${
          security.length > 0
            ? html`The client proves its identity: see
                <a href="#authentication">Authentication</a>.`
            : 'No authentication.'
        }
      </p>
      ${queried.length > 0 && [html`<h4>Query</h4>`, parameterTable(queried, resolve, id, 'Query')]}
      ${
        headed.length > 0 && [
          html`<h4>Headers</h4>`,
          parameterTable(headed, resolve, id, 'Headers'),
        ]
      }
      ${requestBody !== undefined && requestPart(requestBody, resolve, id)}
      <h4>Answers</h4>
      ${succeeding.map(([status, response]) => answerPart(status, response, resolve, id))}
      <h4>Errors</h4>
      ${errorList(failing)}
      <h4>With the released client</h4>
      ${codeBlock(operation['x-codeSamples'][0]!.source, `a program for ${id}`)}
    </div>
  </details> `
}

function parameterTable(
  parameters: NonNullable<Operation['parameters']>,
  resolve: Resolve,
  id: string,
  what: string,
): Content {
  const required = parameters
    .filter((parameter) => parameter.required === true)
    .map(({ name }) => name!)
  const described = parameters.map(
    ({ name, schema, description }) =>
      [name!, { ...schema, ...(description !== undefined && { description }) }] as const,
  )
  const examples = Object.keys(
    parameters.find(({ examples }) => examples !== undefined)?.examples ?? {},
  )
  return [
    fieldTable(
      { type: 'object', required, properties: Object.fromEntries(described) },
      resolve,
      `${what} of ${id}`,
    ),
    examples.map((name) => html`<p>Example: <code>?${queryOf(parameters, name)}</code></p>`),
  ]
}

function queryOf(parameters: NonNullable<Operation['parameters']>, example: string): string {
  const search = new URLSearchParams()
  for (const { name, examples } of parameters) {
    const value = examples?.[example]?.value
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== undefined) search.append(name!, String(one))
  }
  return search.toString()
}

function requestPart(
  { description, content }: NonNullable<Operation['requestBody']>,
  resolve: Resolve,
  id: string,
): Content {
  return [
    html`<h4>Request</h4>`,
    Object.entries(content).map(([type, { schema, examples }]) =>
      type !== JSON_TYPE
        ? html`<p><code>${type}</code>. ${description}</p>`
        : [
            html`<p>JSON. ${description}</p>`,
            fieldTable(schema, resolve, `Fields of a request of ${id}`),
            examplesOf(examples, `a request of ${id}`),
          ],
    ),
  ]
}

function answerPart(
  status: string,
  { description, content }: Operation['responses'][string],
  resolve: Resolve,
  id: string,
): Content {
  return [
    html`<p><strong>${status}</strong> ${line(description)}</p>`,
    content?.[JSON_TYPE] !== undefined && [
      fieldTable(content[JSON_TYPE].schema, resolve, `Fields of an answer ${status} of ${id}`),
      examplesOf(content[JSON_TYPE].examples, `an answer of ${id}`),
    ],
  ]
}

function examplesOf(examples: Examples, what: string): Content {
  return Object.entries(examples).map(
    ([name, { value }]) =>
      html`<p>Example: ${name}</p>
        ${jsonBlock(value, `${what}: ${name}`)}`,
  )
}

function errorList(responses: Array<[string, Operation['responses'][string]]>): Content {
  return html`<ul>
    ${responses.map(
      ([status, response]) =>
        html`<li>
          <strong>${status}</strong>
          ${codesIn(response).map((code) => html`<a href="#${code}"><code>${code}</code></a> `)}
        </li>`,
    )}
  </ul>`
}

export function typePart(name: string, schema: JsonSchema, resolve: Resolve): Html {
  return html`<h3 id="${name}">${name}</h3>
    ${typeBody(name, schema, resolve)}
    ${
      schema.pattern !== undefined && html`<p>Pattern: <code>${schema.pattern as string}</code></p>`
    } `
}
