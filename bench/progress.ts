/** One line that changes while the run goes on; nothing where standard error is no terminal. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

/** Removes the line. */
export function progressDone(): void {
  progress('')
}
