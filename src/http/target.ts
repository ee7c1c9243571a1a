/** Request targets as clients and proxies write them. */

/** Whether a target is a path or a URL. Express fails on anything else before any handler. */
export function isTarget(target = ''): boolean {
  return target.startsWith('/') || target === '*' || URL.canParse(target)
}

/** Removes the origin of a target that is a whole URL. Requests are signed over the result. */
export function toPath(target: string): string {
  if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) return target
  const path = target.replace(/^https?:\/\/[^/?]*/i, '')
  return path.startsWith('/') ? path : `/${path}`
}

/** Replaces repeated slashes: clients that know the host with a slash at its end send them. */
export function mergeSlashes(target: string): string {
  return target.includes('//')
    ? target.replace(/^[^?]*/, (path) => path.replace(/\/{2,}/g, '/'))
    : target
}
