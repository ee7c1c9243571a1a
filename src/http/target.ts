/** Targets of requests as clients and proxies write them. */

/** A path, or a whole URL: Express gives up on anything else before it asks any handler. */
export function isTarget(target = ''): boolean {
  return target.startsWith('/') || target === '*' || URL.canParse(target)
}

/** A target that is a whole URL, as proxies get it, without its origin; others as they are. Requests are signed over it. */
export function toPath(target: string): string {
  if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) return target
  const path = target.replace(/^https?:\/\/[^/?]*/i, '')
  return path.startsWith('/') ? path : `/${path}`
}

/** Several slashes in a row count as one: they come from a host that a client was given with a slash at its end. */
export function mergeSlashes(target: string): string {
  return target.includes('//')
    ? target.replace(/^[^?]*/, (path) => path.replace(/\/{2,}/g, '/'))
    : target
}
