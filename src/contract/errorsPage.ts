/** docs/errors.md, as text. */
import { ERRORS } from './errors'

export function renderErrorsPage(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { status, when }]) => `| \`${code}\` | ${status} | ${when} |`,
  )
  return `# Errors

This page is generated from \`src/contract/errors.ts\` by \`npm run build\`.

| code | status | when |
| --- | --- | --- |
${rows.join('\n')}
`
}
