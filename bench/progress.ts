/** Shows progress in one line; does nothing if standard error is not a terminal. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

/** Removes the line. */
export function progressDone(): void {
  progress('')
}
