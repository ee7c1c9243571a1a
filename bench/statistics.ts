import type { Sample } from './measure'

/** The results of several rounds of a scenario on a subject. */
export interface Summary {
  /** Operations per second of the rounds: the median and the spread. */
  rate: number
  slowest: number
  fastest: number
  /** Of the operations of all rounds, in milliseconds. */
  p50: number
  p99: number
  /** CPU time of the server and of the database for an operation, in milliseconds. */
  serverCpu: number | undefined
  databaseCpu: number | undefined
  /** The share of one core that the server used, from 0 to 1. */
  busy: number | undefined
}

export function summarize(samples: Sample[]): Summary {
  const rates = sorted(samples.map(({ operations, seconds }) => operations / seconds))
  const latencies = sorted(samples.flatMap((sample) => sample.latencies))
  const operations = sum(samples.map((sample) => sample.operations))
  const serverCpu = sumOfAll(samples.map((sample) => sample.serverCpu))
  const databaseCpu = sumOfAll(samples.map((sample) => sample.databaseCpu))
  return {
    rate: median(rates),
    slowest: rates[0]!,
    fastest: rates.at(-1)!,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    serverCpu: serverCpu && (serverCpu * 1000) / operations,
    databaseCpu: databaseCpu && (databaseCpu * 1000) / operations,
    busy: serverCpu && serverCpu / sum(samples.map(({ seconds }) => seconds)),
  }
}

export function median(ordered: number[]): number {
  const middle = ordered.length / 2
  return (ordered[Math.ceil(middle) - 1]! + ordered[Math.floor(middle)]!) / 2
}

/** The quantile: the smallest value that this share of all values does not exceed. */
export function quantile(ordered: number[], share: number): number {
  return ordered[Math.max(0, Math.ceil(ordered.length * share) - 1)]!
}

export function sorted(values: number[]): number[] {
  return values.sort((a, b) => a - b)
}

/** Undefined if one of them is. */
function sumOfAll(values: Array<number | undefined>): number | undefined {
  return values.every((value) => value !== undefined) ? sum(values) : undefined
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
