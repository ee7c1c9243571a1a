import { expect, test } from '@jest/globals'
import { holdIdle } from '../../tools/soak/idle'

test('1,000 authenticated idle sockets stay connected and receive messages', async () => {
  const counts = await holdIdle(1000, 3)

  process.stdout.write(`idle sockets: ${JSON.stringify(counts)}\n`)
  expect(counts.stayed).toBe(1000)
  expect(counts.bytesPerSocket).toBeLessThan(200_000)
})
