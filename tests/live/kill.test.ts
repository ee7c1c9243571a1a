import { expect, test } from '@jest/globals'
import { ENGINES } from '../../tools/databases/databases'
import { killUnderLiveLoad } from '../../tools/soak/kill'

test.each(ENGINES)(
  'kill -9 under live load on %s: no acked message is missing or stored twice',
  async (engine) => {
    const counts = await killUnderLiveLoad(engine, 3)

    expect(counts).toMatchObject({ missing: 0, twice: 0 })
    // There was load. A message without an ack may be stored or not.
    expect(counts.acked).toBeGreaterThan(100)
    expect(counts.stored).toBeGreaterThanOrEqual(counts.acked)
  },
)
