import { expect, test } from '@jest/globals'
import { ENGINES } from '../../tools/databases/databases'
import { killUnderLiveLoad } from '../../tools/soak/kill'

test.each(ENGINES)(
  'kill -9 under live load on %s: no acked message is missing, none is there twice',
  async (engine) => {
    const counts = await killUnderLiveLoad(engine, 3)

    expect(counts).toMatchObject({ missing: 0, twice: 0 })
    // There was load, and there were losses to make good: what is not acked may be stored or not.
    expect(counts.acked).toBeGreaterThan(100)
    expect(counts.stored).toBeGreaterThanOrEqual(counts.acked)
  },
)
