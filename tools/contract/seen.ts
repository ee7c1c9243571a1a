/** The parts of the API's document that the tests must cover, as `documented.ts` records them. */
import { ERRORS } from '../../src/contract/errors'
import { OPERATIONS } from '../../src/openapi/document'
import { codesOf, NO_OPERATION } from '../../src/openapi/errors'

/**
 * @param lines covered parts, such as "sendMessage 200" or "sendMessage 400 ERR_MESSAGE_REQUIRED"
 * @returns the parts that are missing. Errors that operations share need to be covered once
 */
export function unseen(lines: string[]): string[] {
  const seen = new Set(lines)
  const codes = new Set(lines.map((line) => line.split(' ')[2]))
  const wanted = OPERATIONS.flatMap(({ id, answers, errors }) => [
    ...Object.keys(answers).map((status) => `${id} ${status}`),
    ...errors.map((code) => `${id} ${ERRORS[code].status} ${code}`),
  ])
  const shared = [...new Set([...OPERATIONS.flatMap(codesOf), ...NO_OPERATION])]
  return [...wanted.filter((line) => !seen.has(line)), ...shared.filter((code) => !codes.has(code))]
}
