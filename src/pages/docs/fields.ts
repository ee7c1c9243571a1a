/** JSON Schemas as people read them: a table of fields, with those of objects within below them. */
import type { JsonSchema } from '../../contract/schema'
import { html, type Content, type Html } from '../html'
import { line } from './prose'

/** Finds what a `$ref` leads to. */
export type Resolve = (reference: string) => JsonSchema

interface Field {
  name: string
  schema: JsonSchema
  /** In words: that it has to be there, or that one of several has. */
  required?: string
  /** In which of several forms of the object the field stands. */
  form?: string
}

/** The part of a document that a reference names, by its path such as `#/components/schemas/Time`. */
export function resolverOf(document: object): Resolve {
  return (reference) =>
    reference
      .slice(2)
      .split('/')
      .reduce<unknown>(
        (node, key) => (node as Record<string, unknown>)[key],
        document,
      ) as JsonSchema
}

/** @param caption what the fields belong to, for screen readers */
export function fieldTable(schema: JsonSchema, resolve: Resolve, caption: string): Content {
  const fields = fieldsOf(schema, resolve, '')
  if (fields.length === 0)
    return html`<p>
      ${typeOf(schema)}${schema.description !== undefined && [': ', line(schema.description as string)]}
    </p>`
  const rows = fields.map(
    ({ name, schema, required, form }) =>
      html`<tr>
        <th scope="row"><code>${name}</code>${quiet(required)}</th>
        <td>${typeOf(schema)}</td>
        <td>${meaning(schema, form)}</td>
      </tr> `,
  )
  return scrollingTable(caption, ['Field', 'Type', 'Meaning'], rows)
}

/** A table that scrolls within its region if it is wider than the screen. */
export function scrollingTable(caption: string, columns: string[], rows: Content): Content {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}">
    <table>
      <thead>
        <tr>
          ${columns.map((column) => html`<th scope="col">${column}</th> `)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`
}

function quiet(note: string | undefined): Content {
  return note !== undefined && html` <span class="quiet">${note}</span>`
}

/** What may stand in a field, in a few words. */
export function typeOf(schema: JsonSchema): Content {
  const {
    $ref,
    const: fixed,
    enum: choices,
    anyOf,
    oneOf,
    type,
    items,
    title,
  } = schema as {
    $ref?: string
    const?: unknown
    enum?: unknown[]
    anyOf?: JsonSchema[]
    oneOf?: JsonSchema[]
    type?: string
    items?: JsonSchema
    title?: string
  }
  if ($ref !== undefined) return reference($ref)
  if ('const' in schema) return html`<code>${JSON.stringify(fixed)}</code>`
  if (choices !== undefined)
    return joined(choices.map((choice) => html`<code>${JSON.stringify(choice)}</code>`))
  const several = type === 'object' ? undefined : (anyOf ?? oneOf)
  if (several !== undefined) return joined(several.map(typeOf))
  if (Array.isArray(type)) return joined(type.map((one) => typeOf({ type: one as string })))
  if (type === 'array')
    return [
      'list',
      items !== undefined && [' of ', typeOf(items)],
      bounds(schema, 'minItems', 'maxItems'),
    ]
  if (type === 'integer') return ['whole number', bounds(schema, 'minimum', 'maximum')]
  if (type === 'string') return ['text', bounds(schema, 'minLength', 'maxLength')]
  return type ?? title ?? 'anything'
}

function joined(parts: Content[]): Content {
  return parts.flatMap((part, at) => (at === 0 ? [part] : [' or ', part]))
}

function reference(path: string): Html {
  const name = path.split('/').at(-1)!
  return html`<a href="#${name}">${name}</a>`
}

function bounds(schema: JsonSchema, least: string, most: string): Content {
  const [minimum, maximum] = [schema[least], schema[most]] as [number?, number?]
  // The largest number there is, is no bound to tell of.
  if (maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER)
    return minimum === undefined ? `, up to ${maximum}` : `, ${minimum} to ${maximum}`
  return minimum !== undefined && `, ${minimum} or more`
}

function meaning({ description, default: usual }: JsonSchema, form: string | undefined): Content {
  return [
    form !== undefined && html`<em>${form}</em>`,
    line((description ?? '') as string),
    usual !== undefined && html` Without it: <code>${JSON.stringify(usual)}</code>.`,
  ]
}

function fieldsOf(schema: JsonSchema, resolve: Resolve, path: string): Field[] {
  const {
    properties = {},
    required = [],
    anyOf,
    oneOf,
    items,
  } = schema as {
    properties?: Record<string, JsonSchema>
    required?: string[]
    anyOf?: JsonSchema[]
    oneOf?: JsonSchema[]
    items?: JsonSchema
  }
  if (items !== undefined) return fieldsOf(items, resolve, `${path}[]`)
  const own = Object.entries(properties)
    .filter(([, field]) => field.type !== 'null')
    .flatMap(([key, field]) => {
      const name = path === '' ? key : `${path}.${key}`
      return [
        { name, schema: field, ...(required.includes(key) && { required: 'required' }) },
        ...fieldsOf(field, resolve, name),
      ]
    })
  const alternatives = anyOf ?? oneOf ?? []
  if (alternatives.length > 1 && alternatives.every(isOneField)) {
    const how =
      alternatives.length === 2
        ? 'one of the two is required'
        : `one of the ${alternatives.length} is required`
    return [
      ...own,
      ...alternatives
        .flatMap((form) => fieldsOf(form, resolve, path))
        .map((field) => (field.required === undefined ? field : { ...field, required: how })),
    ]
  }
  const forms = alternatives.flatMap((form, at, all) => {
    const title =
      form.title ?? (oneOf !== undefined && all.length > 1 ? `form ${at + 1}` : undefined)
    return fieldsOf(form, resolve, path).map((field) => ({
      ...field,
      ...(title !== undefined && { form: `${String(title)}. ` }),
    }))
  })
  return [...own, ...forms]
}

/** Whether a form is told apart by one field alone, which it has and which it needs. */
function isOneField({ properties = {}, required }: JsonSchema): boolean {
  const names = Object.entries(properties as Record<string, JsonSchema>)
    .filter(([, field]) => field.type !== 'null')
    .map(([name]) => name)
  return (
    names.length === 1 &&
    Array.isArray(required) &&
    required.length === 1 &&
    required[0] === names[0]
  )
}
