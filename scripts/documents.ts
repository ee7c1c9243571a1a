/**
 * Generates documents from the code, and the table of routes in README.md, as the last step of
 * `npm run build`. The API's documents describe a server with default settings.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { renderConfigurationPage, renderEnvExample } from '../src/config/documents'
import { renderErrorsPage } from '../src/contract/errorsPage'
import { defaultDocument } from '../src/openapi/document'
import { createEventsDocument } from '../src/ws/events/asyncapi'
import { updateRouteTable } from './routeTable'

const toJson = (document: object): string => `${JSON.stringify(document, null, 2)}\n`

const pathOf = (name: string): string => join(__dirname, '..', name)

function update(name: string, text: string): void {
  const path = pathOf(name)
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return
  writeFileSync(path, text)
  console.log(`${name} has changed: commit it too`)
}

for (const [name, text] of Object.entries({
  '.env.example': renderEnvExample(),
  'docs/configuration.md': renderConfigurationPage(),
  'docs/errors.md': renderErrorsPage(),
  'docs/openapi.json': toJson(defaultDocument()),
  'README.md': updateRouteTable(readFileSync(pathOf('README.md'), 'utf8')),
  'docs/asyncapi.json': toJson(createEventsDocument()),
}))
  update(name, text)
