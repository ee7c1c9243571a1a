import { beforeEach, expect, test } from '@jest/globals'
import { Housekeeping } from '../../src/db/maintenance/retention'
import { createQuotaCounter } from '../../src/db/quotas'
import { createRemoval } from '../../src/db/messages/remove'
import { WallClock } from '../../src/db/engine/wallClock'
import pino from 'pino'
import { until } from '../../tools/clients/live'
import { startServer } from '../../tools/servers/server'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const YEAR = 365 * 24 * HOUR

let wall = 0
let monotonic = 0
const clocks = { wall: () => wall, monotonic: () => monotonic }
const pass = (milliseconds: number): void => {
  wall += milliseconds
  monotonic += milliseconds
}

beforeEach(() => {
  ;[wall, monotonic] = [1_800_000_000_000, 5000]
})

test('a clock that runs evenly, or is corrected by seconds, is trusted', () => {
  const clock = new WallClock(clocks)
  expect(clock.now()).toBe(wall)
  pass(30 * YEAR)
  expect(clock.now()).toBe(wall)
  wall -= 5000
  expect(clock.now()).toBe(wall)
})

test.each([
  ['a year ahead', YEAR],
  ['a year back', -YEAR],
  ['a minute ahead', MINUTE],
])('a clock that jumps %s is not trusted until it is right again', (_name, jump) => {
  const clock = new WallClock(clocks)
  wall += jump
  expect(clock.now()).toBeUndefined()
  pass(65_000)
  expect(clock.now()).toBeUndefined()
  wall -= jump
  expect(clock.now()).toBe(wall)
})

test('after a jump, a clock is trusted again once it has run evenly for an hour', () => {
  const clock = new WallClock(clocks)
  wall += YEAR
  for (let minutes = 0; minutes < 60; minutes++) {
    expect(clock.now()).toBeUndefined()
    pass(MINUTE)
  }
  expect(clock.now()).toBe(wall)
})

test('a clock that keeps jumping is never trusted', () => {
  const clock = new WallClock(clocks)
  for (let jumps = 0; jumps < 5; jumps++) {
    wall += YEAR
    for (let minutes = 0; minutes < 59; minutes++) {
      expect(clock.now()).toBeUndefined()
      pass(MINUTE)
    }
  }
})

test('while the clock is not trusted, old messages are not removed', async () => {
  const {
    server: { context },
  } = await startServer()
  const { knex } = context
  ;[wall, monotonic] = [Date.now(), performance.now()]
  const recipient = context.serverKey.identityKey
  await knex('messages').insert({
    recipient,
    message_box: 'inbox',
    message_id: 'young',
    sender: recipient,
    body: 'x',
    body_bytes: 1,
    created_at: wall - MINUTE,
    updated_at: wall,
  })
  const quotas = {
    inbox: { messages: undefined, bytes: undefined },
    sender: { messages: undefined, bytes: undefined },
  }
  const counter = createQuotaCounter(quotas)
  const lines: string[] = []
  const start = (retention: number): Housekeeping => {
    const logger = pino(
      { level: 'info' },
      {
        write(line: string) {
          lines.push(line)
        },
      },
    )
    const housekeeping = new Housekeeping({
      knex,
      removal: createRemoval(knex, counter, () => false),
      counter,
      retention,
      logger,
      onExpired: () => {},
      clocks,
    })
    return housekeeping
  }
  const stored = async (): Promise<number> =>
    Number((await knex('messages').count({ count: '*' }).first())!.count)

  const wrong = start(HOUR)
  wall += YEAR
  wrong.start()
  await until(() => lines.some((line) => line.includes('the clock has jumped')))
  await wrong.stop()
  expect(await stored()).toBe(1)

  wall -= YEAR
  const right = start(1)
  right.start()
  await until(async () => (await stored()) === 0)
  await right.stop()
})
