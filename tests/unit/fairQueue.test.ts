import { expect, test } from '@jest/globals'
import { FairQueue } from '../../src/lib/fairQueue'

test('owners take turns, even if one of them has queued more work', async () => {
  const line = new FairQueue()
  const done: string[] = []
  const bring = async (owner: string, name: string): Promise<void> => {
    await line.run(owner, async () => {
      done.push(name)
    })
  }

  await Promise.all([
    ...['a1', 'a2', 'a3'].map(async (name) => {
      await bring('a', name)
    }),
    bring('b', 'b1'),
    bring('c', 'c1'),
  ])

  expect(done).toEqual(['a1', 'b1', 'c1', 'a2', 'a3'])
  expect(line.size).toBe(0)
})

test('a failed task rejects for its owner, and the next task runs', async () => {
  const line = new FairQueue()
  const failing = line.run('a', async () => {
    throw new Error('no')
  })
  const next = line.run('a', async () => 'yes')

  await expect(failing).rejects.toThrow('no')
  expect(await next).toBe('yes')
})

test('tasks run one at a time', async () => {
  const line = new FairQueue()
  let working = 0
  let most = 0
  await Promise.all(
    ['a', 'a', 'b', 'c', 'b'].map(async (owner) => {
      await line.run(owner, async () => {
        most = Math.max(most, ++working)
        await new Promise(setImmediate)
        working--
      })
    }),
  )

  expect(most).toBe(1)
})
