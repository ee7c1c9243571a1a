/** Writes docs/openapi.json: the document of a server without any settings. `npm run build` ends with this. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { usualDocument } from '../src/openapi/defaultDocument'

writeFileSync(
  join(__dirname, '..', 'docs', 'openapi.json'),
  `${JSON.stringify(usualDocument(), null, 2)}\n`,
)
