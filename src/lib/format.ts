/** @returns for example 10,000 */
export function formatNumber(value: number): string {
  return value.toLocaleString('en')
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']

/** @returns for example 10 MiB */
export function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10))
  return `${formatNumber(Math.round((bytes / 1024 ** power) * 10) / 10)} ${UNITS[power]!}`
}
