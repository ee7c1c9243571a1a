import { parseConfig } from '../config'
import { describeServer } from '../operator/info'
import { createDocument, type OpenApiDocument } from './document'

/** The document of a server without any settings; the same on every machine. */
export function usualDocument(): OpenApiDocument {
  const config = parseConfig({})
  return createDocument({ info: describeServer(config, ''), prefix: config.http.prefix })
}
