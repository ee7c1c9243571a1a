/** One line that changes while the run goes on; nothing where the output is no terminal. */
export function progress (text: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${text}`)
}

/** Removes the line. */
export function progressDone (): void {
  progress('')
}
