/** Loads the SDK when it is first needed: most servers never need it here. */
export function loadSdk(): typeof import('@bsv/sdk') {
  return require('@bsv/sdk') as typeof import('@bsv/sdk')
}
