/** Writes docs/openapi.json, of a server with default settings, and docs/asyncapi.json. `npm run build` ends with this. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { usualDocument } from '../src/openapi/defaultDocument'
import { createEventsDocument } from '../src/ws/events/asyncapi'

for (const [name, document] of Object.entries({
  openapi: usualDocument(),
  asyncapi: createEventsDocument(),
}))
  writeFileSync(
    join(__dirname, '..', 'docs', `${name}.json`),
    `${JSON.stringify(document, null, 2)}\n`,
  )
