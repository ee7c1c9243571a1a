import type { Sample } from './measure'

/** What several rounds of one scenario on one subject come to. */
export interface Summary {
  /** Operations per second of the rounds: the median, and how far they lay apart. */
  rate: number
  slowest: number
  fastest: number
  /** Over the operations of all rounds, in milliseconds. */
  p50: number
  p99: number
  /** Of the server's process for one operation, in milliseconds. */
  cpu: number | undefined
  /** How much of one core the server's process used, 1 being all of it. */
  busy: number | undefined
}

export function summarize (samples: Sample[]): Summary {
  const rates = sorted(samples.map(({ operations, seconds }) => operations / seconds))
  const latencies = sorted(samples.flatMap(sample => sample.latencies))
  const cpu = samples.every(sample => sample.cpu !== undefined) ? sum(samples.map(sample => sample.cpu!)) : undefined
  return {
    rate: median(rates),
    slowest: rates[0]!,
    fastest: rates.at(-1)!,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    cpu: cpu === undefined ? undefined : cpu * 1000 / sum(samples.map(({ operations }) => operations)),
    busy: cpu === undefined ? undefined : cpu / sum(samples.map(({ seconds }) => seconds))
  }
}

function median (ordered: number[]): number {
  const middle = ordered.length / 2
  return (ordered[Math.ceil(middle) - 1]! + ordered[Math.floor(middle)]!) / 2
}

/** The smallest value that this share of all values does not exceed. */
function quantile (ordered: number[], share: number): number {
  return ordered[Math.max(0, Math.ceil(ordered.length * share) - 1)]!
}

function sorted (values: number[]): number[] {
  return values.sort((a, b) => a - b)
}

function sum (values: number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
