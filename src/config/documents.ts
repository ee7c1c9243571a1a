/** The documents about settings, as text: .env.example and docs/configuration.md. */
import { GROUPS, SETTINGS, type Setting } from './settings'

const COLUMNS = 100

/** .env.example: every setting with its default, commented out unless the example sets it. */
export function renderEnvExample(): string {
  const settings = Object.entries<Setting>(SETTINGS).map(([name, setting]) => {
    const comment = wrap(setting.meaning.replaceAll('`', ''), COLUMNS - 2)
    const line =
      setting.example === undefined
        ? `# ${name}=${setting.default ?? setting.usual ?? ''}`
        : `${name}=${setting.example}`
    return [...comment.map((text) => `# ${text}`), line].join('\n')
  })
  const head =
    '# Every variable of the server, with its default. ' +
    'Lines that begin with # are not in force.\n' +
    '# "npm run dev" makes a .env from this file, with a SERVER_PRIVATE_KEY of its own.'
  return `${[head, ...settings].join('\n\n')}\n`
}

/** docs/configuration.md: a table for each group of settings. */
export function renderConfigurationPage(): string {
  const groups = Object.entries<Record<string, Setting>>(GROUPS).map(([group, settings]) => {
    const rows = Object.entries(settings).map(([name, setting]) => {
      const { meaning, more } = setting
      const value = setting.default ?? setting.usual ?? ''
      const shown = value === '' ? 'none' : `\`${value}\``
      return `| \`${name}\` | ${shown} | ${meaning}${more === undefined ? '' : ` See ${more}.`} |`
    })
    return [
      `## ${group}`,
      '',
      '| variable | default | meaning |',
      '| --- | --- | --- |',
      ...rows,
    ].join('\n')
  })
  const head = [
    '# Configuration',
    '',
    'The server reads environment variables, ' +
      'and the same from a file `.env` in its working directory.',
    'An empty variable counts as not set. If a value cannot be used, the server does not start and',
    'names every problem at once; `npm run admin -- doctor` says more.',
    '',
    'This page is generated from `src/config/settings.ts` by `npm run build`.',
  ].join('\n')
  return `${[head, ...groups].join('\n\n')}\n`
}

/** Breaks a text into lines of at most so many characters. */
function wrap(text: string, columns: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= columns)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
