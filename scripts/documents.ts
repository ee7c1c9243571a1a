/**
 * Writes the documents that derive from the code: .env.example and docs/. `npm run build` ends with
 * this; the API's documents are those of a server with default settings.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { renderConfigurationPage, renderEnvExample } from '../src/config/documents'
import { defaultDocument } from '../src/openapi/document'
import { createEventsDocument } from '../src/ws/events/asyncapi'

const toJson = (document: object): string => `${JSON.stringify(document, null, 2)}\n`

for (const [path, text] of Object.entries({
  '.env.example': renderEnvExample(),
  'docs/configuration.md': renderConfigurationPage(),
  'docs/openapi.json': toJson(defaultDocument()),
  'docs/asyncapi.json': toJson(createEventsDocument()),
}))
  writeFileSync(join(__dirname, '..', path), text)
