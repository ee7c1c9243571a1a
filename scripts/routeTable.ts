import type { RouteDeclaration } from '../src/routes/route'
import { PAGE_ROUTES } from '../src/pages'
import { OPERATIONS } from '../src/openapi/document'

type Declared = Pick<RouteDeclaration<unknown>, 'method' | 'path' | 'access' | 'summary'>

const START = '<!-- routes -->'
const END = '<!-- /routes -->'

/** The text with its table of routes, between two comments, replaced by the current one. */
export function updateRouteTable(text: string): string {
  const [start, end] = [text.indexOf(START), text.indexOf(END)]
  if (start < 0 || end < start) throw new Error(`The text has no "${START}" before "${END}".`)
  return `${text.slice(0, start + START.length)}\n${renderRouteTable()}${text.slice(end)}`
}

function renderRouteTable(): string {
  const routes: Declared[] = [...OPERATIONS, ...PAGE_ROUTES.filter(isPage)]
  const rows = routes.map(({ method, path, access, summary }) => [
    method.toUpperCase(),
    `\`${path}\``,
    access === 'identity' ? 'identity' : 'open',
    summary,
  ])
  return [['Method', 'Path', 'Access', 'Summary'], ['---', '---', '---', '---'], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |\n`)
    .join('')
}

/** Leaves out files, and the redirect to the home page. */
function isPage({ path, atRoot }: { path: string; atRoot?: true }): boolean {
  return !path.endsWith(':file') && atRoot !== true
}
