/** Text in columns: the first is aligned left, the others right. */
export function table(rows: string[][]): string {
  const widths = rows.reduce<number[]>(
    (wide, row) => row.map((cell, column) => Math.max(cell.length, wide[column] ?? 0)),
    [],
  )
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
        )
        .join('   ')
        .trimEnd(),
    )
    .join('\n')
}

/** Three significant digits, with thousands separated. */
export function figure(value: number | undefined): string {
  if (value === undefined) return '-'
  return new Intl.NumberFormat(
    'en-US',
    value >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 },
  ).format(value)
}
