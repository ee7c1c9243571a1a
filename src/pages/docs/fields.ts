/** Shows JSON Schemas as tables. The fields of an inner object follow the field of the object. */
import type { JsonSchema } from '../../contract/schema'
import { html, type Content, type Html } from '../html'
import { line } from './prose'

/** Returns the schema that a `$ref` names. */
export type Resolve = (reference: string) => JsonSchema

interface Field {
  name: string
  schema: JsonSchema
  /** A text: the field is required, or one of several fields is. */
  required?: string
  /** The form of the object that has the field, if there are several. */
  form?: string
}

/** @returns a function that follows references such as `#/components/schemas/Time` */
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

/** @param caption for screen readers, such as `Fields of Time` */
export function fieldTable(schema: JsonSchema, resolve: Resolve, caption: string): Content {
  const fields = fieldsOf(schema, resolve, '')
  const { description } = schema as { description?: string }
  if (fields.length === 0)
    return html`<p>${typeOf(schema)}${description !== undefined && [': ', line(description)]}</p>`
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

/** Describes a schema in a few words, such as `list of whole number`. */
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

/** The fields of an object, or one line for any other type. */
export function typeBody(name: string, schema: JsonSchema, resolve: Resolve): Content {
  return schema.type === 'object'
    ? fieldTable(schema, resolve, `Fields of ${name}`)
    : html`<p>${typeOf(schema)}. ${line((schema.description ?? '') as string)}</p>`
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
  // MAX_SAFE_INTEGER means that there is no upper limit.
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

/** Whether a form has a single field, which is required. */
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
