/** Creates a value when it is first asked for. A start of the server does not wait for it. */
export function once<T extends object>(create: () => T): () => T {
  let value: T | undefined
  return () => (value ??= create())
}
