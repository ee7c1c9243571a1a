import { expect, test } from '@jest/globals'
import { setTimeout as pause } from 'node:timers/promises'
import { Queue } from '../../src/push/queue'
import { ThrottledLog } from '../../src/push/throttledLog'

/** Work that runs until `end` is called. */
function heldWork(): { begun: number[]; work: (item: number) => Promise<void>; end: () => void } {
  const [begun, ends]: [number[], Array<() => void>] = [[], []]
  return {
    begun,
    work: async (item) => {
      begun.push(item)
      await new Promise<void>((resolve) => {
        ends.push(resolve)
      })
    },
    end: () => {
      ends.shift()!()
    },
  }
}

test('the queue rejects items over the maximum of running and waiting items', async () => {
  const { begun, work, end } = heldWork()
  const queue = new Queue(work, { working: 2, waiting: 3, waitingOfOne: 3 })
  expect([1, 2, 3, 4, 5, 6].map((item) => queue.add('a', item))).toEqual([
    true,
    true,
    true,
    true,
    true,
    false,
  ])
  expect(begun).toEqual([1, 2])
  end()
  await new Promise(setImmediate)
  expect(begun).toEqual([1, 2, 3])
  expect([queue.add('a', 7), queue.add('a', 8)]).toEqual([true, false])
  for (let i = 0; i < 5; i++) {
    end()
    await new Promise(setImmediate)
  }
  expect(begun).toEqual([1, 2, 3, 4, 5, 7])
  expect(queue.add('a', 9)).toBe(true)
  expect(begun).toContain(9)
})

test('one owner cannot take all waiting places', async () => {
  const { begun, work, end } = heldWork()
  const queue = new Queue(work, { working: 1, waiting: 3, waitingOfOne: 2 })
  expect([1, 2, 3, 4].map((item) => queue.add('a', item))).toEqual([true, true, true, false])
  expect(queue.add('b', 5)).toBe(true)
  for (let i = 0; i < 2; i++) {
    end()
    await new Promise(setImmediate)
  }
  expect(queue.add('a', 6)).toBe(true)
  expect(begun).toEqual([1, 2, 3])
})

test('close waits for running items up to its timeout and drops the others', async () => {
  const { begun, work, end } = heldWork()
  const queue = new Queue(work, { working: 1, waiting: 3, waitingOfOne: 3 })
  for (const item of [1, 2, 3]) queue.add('a', item)
  const closed = queue.close(60_000)
  expect(queue.add('a', 4)).toBe(false)
  end()
  expect(await closed).toBe(2)
  expect(begun).toEqual([1])

  const stuck = new Queue(work, { working: 1, waiting: 1, waitingOfOne: 1 })
  stuck.add('a', 1)
  expect(await stuck.close(1)).toBe(1)
})

test('the log shows the first of many faults at once and counts the others', async () => {
  const lines: object[] = []
  const log = new ThrottledLog(
    {
      warn: (fields: object) => {
        lines.push(fields)
      },
    } as never,
    20,
  )
  for (let i = 0; i < 5; i++) log.add('it failed', 'one')
  log.add('it failed', 'another')
  expect(lines).toEqual([
    { fault: 'one', times: 1 },
    { fault: 'another', times: 1 },
  ])
  await pause(25)
  log.add('it failed', 'one')
  expect(lines.at(-1)).toEqual({ fault: 'one', times: 5 })
})
