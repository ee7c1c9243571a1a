/** The SDK, loaded when it is first needed, not before: most requests do without it. */
export function loadSdk(): typeof import('@bsv/sdk') {
  return require('@bsv/sdk') as typeof import('@bsv/sdk')
}
