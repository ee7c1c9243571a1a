/**
 * Generates documents from the code, as the last step of `npm run build`. The API's documents
 * describe a server with default settings.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { renderConfigurationPage, renderEnvExample } from '../src/config/documents'
import { renderErrorsPage } from '../src/contract/errorsPage'
import { defaultDocument } from '../src/openapi/document'
import { createEventsDocument } from '../src/ws/events/asyncapi'

const toJson = (document: object): string => `${JSON.stringify(document, null, 2)}\n`

for (const [path, text] of Object.entries({
  '.env.example': renderEnvExample(),
  'docs/configuration.md': renderConfigurationPage(),
  'docs/errors.md': renderErrorsPage(),
  'docs/openapi.json': toJson(defaultDocument()),
  'docs/asyncapi.json': toJson(createEventsDocument()),
}))
  writeFileSync(join(__dirname, '..', path), text)
