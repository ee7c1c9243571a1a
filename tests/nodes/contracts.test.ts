/**
 * The same tests for state in memory, for state that nodes share through Redis, and for state that
 * workers share through their supervisor.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { randomBytes, randomUUID } from 'node:crypto'
import process_ from 'node:process'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import pino from 'pino'
import { MemoryReplayGuard, type ReplayGuard } from '../../src/auth/replay'
import { RedisNonces } from '../../src/auth/redisNonces'
import { SharedReplayGuard } from '../../src/auth/sharedReplay'
import type { Deliver, Fanout } from '../../src/fanout'
import { MemoryBus } from '../../src/fanout/memory'
import { RedisFanout } from '../../src/fanout/redis'
import { createMeter } from '../../src/limits/meter'
import { createRateLimiter, type RateLimiter } from '../../src/limits/rates'
import { RedisCounts } from '../../src/limits/redisCounts'
import type { PublishedMessage } from '../../src/contract/protocol'
import { SharedRedis } from '../../src/lib/redis'
import { Secret } from '../../src/lib/secret'
import type { Sharing } from '../../src/sharing'
import { SharedState } from '../../src/sharing/state'
import { shareThroughSupervisor } from '../../src/sharing/supervised'
import type { Wire } from '../../src/sharing/wire'
import { until } from '../../tools/clients/live'
import { eventually } from '../../tools/programs/processes'
import { canRunRedis, PrivateRedis } from '../../tools/databases/redis'

const silent = pino({ level: 'silent' })
const newKey = (): string => `02${randomBytes(32).toString('hex')}`
const messageFor = (recipient: string): PublishedMessage => {
  return {
    recipient,
    messageId: randomUUID(),
    messageBox: 'a-b',
    sender: newKey(),
    body: 'häppy 📦',
    createdAt: Date.now(),
  }
}

/** Creates the parts of nodes that belong together. */
interface Form {
  fanout: (deliver: Deliver) => Fanout
  replayGuard: (windowMs?: number) => ReplayGuard
  rateLimiter: (limit: number, name?: string) => RateLimiter
}

function fanoutContract(form: () => Form): void {
  const node = (): { fanout: Fanout; heard: PublishedMessage[] } => {
    const heard: PublishedMessage[] = []
    return {
      heard,
      fanout: form().fanout((message) => {
        heard.push(message)
      }),
    }
  }

  test('a node hears only messages for its recipients, in order', async () => {
    const [a, b, c] = [node(), node(), node()]
    const [alice, bob] = [newKey(), newKey()]
    await b.fanout.listen(alice)
    await c.fanout.listen(bob)
    const messages = Array.from({ length: 20 }, () => messageFor(alice))

    for (const message of messages) a.fanout.publish(message)
    a.fanout.publish(messageFor(newKey()))

    await until(() => b.heard.length === 20)
    expect(b.heard).toEqual(messages)
    expect([a.heard, c.heard]).toEqual([[], []])
  })

  test('a node does not hear its own messages', async () => {
    const [a, b] = [node(), node()]
    const alice = newKey()
    await a.fanout.listen(alice)
    await b.fanout.listen(alice)

    a.fanout.publish(messageFor(alice))

    await until(() => b.heard.length === 1)
    expect(a.heard).toEqual([])
  })

  test('a node that listens twice hears once; after it stops, it hears nothing', async () => {
    const [a, b, c] = [node(), node(), node()]
    const alice = newKey()
    await b.fanout.listen(alice)
    await b.fanout.listen(alice)
    await c.fanout.listen(alice)
    a.fanout.publish(messageFor(alice))
    await until(() => b.heard.length === 1 && c.heard.length === 1)

    b.fanout.unlisten(alice)
    await b.fanout.listen(newKey())
    a.fanout.publish(messageFor(alice))

    await until(() => c.heard.length === 2)
    expect(b.heard).toHaveLength(1)
  })
}

function replayContract(form: () => Form): void {
  test('a nonce is new once for each identity', async () => {
    const a = form().replayGuard()
    const [alice, bob, nonce] = [newKey(), newKey(), randomUUID()]

    expect(await a.firstSeen(alice, nonce)).toBe(true)
    expect(await a.firstSeen(alice, nonce)).toBe(false)
    expect(await a.firstSeen(bob, nonce)).toBe(true)
    expect(await a.firstSeen(alice, `${nonce} `)).toBe(true)
  })

  test('of 50 requests with one nonce, one is the first', async () => {
    const guard = form().replayGuard()
    const [alice, nonce] = [newKey(), randomUUID()]

    const answers = await Promise.all(
      Array.from({ length: 50 }, async () => await guard.firstSeen(alice, nonce)),
    )

    expect(answers.filter((first) => first)).toHaveLength(1)
  })

  test('a nonce is forgotten when its time is over, not before', async () => {
    const [alice, nonce] = [newKey(), randomUUID()]
    const lasting = form().replayGuard()
    const guard = form().replayGuard(100)
    await lasting.firstSeen(alice, `${nonce} lasting`)
    const since = performance.now()
    await guard.firstSeen(alice, nonce)

    await until(async () => await guard.firstSeen(alice, nonce))

    expect(performance.now() - since).toBeGreaterThanOrEqual(100)
    expect(await lasting.firstSeen(alice, `${nonce} lasting`)).toBe(false)
  })
}

function rateContract(form: () => Form): void {
  const admitted = async (limiter: RateLimiter, key: string): Promise<boolean> => {
    return await (async () => {
      await limiter.consume(key)
    })().then(
      () => true,
      (error) => {
        expect(error).toMatchObject({
          code: 'ERR_RATE_LIMITED',
          details: { retryAfterMs: expect.any(Number) },
        })
        expect(error.details.retryAfterMs).toBeGreaterThan(0)
        expect(error.details.retryAfterMs).toBeLessThanOrEqual(60_000)
        return false
      },
    )
  }

  test('of 50 requests of a key, exactly the limit passes', async () => {
    const limiter = form().rateLimiter(20)
    const [alice, bob] = [newKey(), newKey()]

    const answers = await Promise.all(
      Array.from(
        { length: 100 },
        async (_value, index) => await admitted(limiter, index % 2 === 0 ? alice : bob),
      ),
    )

    expect(answers.filter((ok, index) => ok && index % 2 === 0)).toHaveLength(20)
    expect(answers.filter((ok, index) => ok && index % 2 === 1)).toHaveLength(20)
    for (let i = 0; i < 3; i++) expect(await admitted(limiter, alice)).toBe(false)
    expect(await admitted(limiter, newKey())).toBe(true)
  })
}

/** What forms with several nodes have in common. */
function sharedContract(form: () => Form): void {
  test('a nonce that one node has seen is not new to another', async () => {
    const [a, b] = [form().replayGuard(), form().replayGuard()]
    const [alice, nonce] = [newKey(), randomUUID()]

    expect([await a.firstSeen(alice, nonce), await b.firstSeen(alice, nonce)]).toEqual([
      true,
      false,
    ])
  })

  test('nodes share exact counts', async () => {
    const name = randomUUID()
    const limiters = Array.from({ length: 3 }, () => form().rateLimiter(20, name))
    const alice = newKey()

    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_value, index) =>
        admits(async () => {
          await limiters[index % 3]!.consume(alice)
        }),
      ),
    )

    expect(answers.filter((answer) => answer)).toHaveLength(20)
  })

  test('rejected work is not counted', async () => {
    const limiter = form().rateLimiter(20)
    const alice = newKey()
    await limiter.consume(alice, 15)
    for (let i = 0; i < 3; i++)
      expect(
        await admits(async () => {
          await limiter.consume(alice, 10)
        }),
      ).toBe(false)
    await limiter.consume(alice, 5)
  })
}

/** The contracts of a form in which processes share state. */
function contractsOf(form: Form): void {
  describe('fan-out', () => {
    fanoutContract(() => form)
  })
  describe('nonces', () => {
    replayContract(() => form)
  })
  describe('rates', () => {
    rateContract(() => form)
  })
  describe('all of it', () => {
    sharedContract(() => form)
  })
}

async function admits(consume: () => Promise<void>): Promise<boolean> {
  return await consume().then(
    () => true,
    () => false,
  )
}

describe('in memory', () => {
  const bus = new MemoryBus()
  const form: Form = {
    fanout: (deliver) => bus.join(deliver),
    replayGuard: (windowMs) => new MemoryReplayGuard(windowMs),
    rateLimiter: (limit, name = randomUUID()) => createRateLimiter(name, limit),
  }
  describe('fan-out', () => {
    fanoutContract(() => form)
  })
  describe('nonces', () => {
    replayContract(() => form)
  })
  describe('rates', () => {
    rateContract(() => form)
  })
})

test('a guard in memory forgets the oldest nonces when its tables are full', () => {
  const [cells, tables] = [64, 4]
  const guard = new MemoryReplayGuard(undefined, cells, tables)
  const alice = newKey()
  const nonces = Array.from({ length: cells * tables * 2 }, () => randomUUID())
  for (const nonce of nonces) expect(guard.firstSeen(alice, nonce)).toBe(true)

  const remembered = nonces.slice(-cells * (tables - 1) * 0.7)
  expect(remembered.filter((nonce) => guard.firstSeen(alice, nonce))).toEqual([])
  expect(guard.firstSeen(alice, nonces[0]!)).toBe(true)
})

describe('through a supervisor', () => {
  const ports: MessagePort[] = []
  const states = new Map<number | undefined, SharedState>()

  afterAll(() => {
    for (const port of ports) port.close()
  })

  const wireOf = (port: MessagePort): Wire => {
    ports.push(port)
    return {
      send(message, onSent) {
        port.postMessage(message)
        onSent?.()
      },
      onMessage: (listener) => {
        port.on('message', listener)
      },
    }
  }
  const stateOf = (windowMs?: number): SharedState => {
    const state = states.get(windowMs) ?? new SharedState(windowMs)
    states.set(windowMs, state)
    return state
  }
  const worker = (windowMs?: number): Sharing => {
    const { port1, port2 } = new MessageChannel()
    stateOf(windowMs).serve(wireOf(port2))
    return shareThroughSupervisor(wireOf(port1), silent, windowMs)
  }
  const form: Form = {
    fanout: (deliver) => worker().joinFanout(deliver),
    replayGuard: (windowMs) => worker(windowMs).replayGuard,
    rateLimiter: (limit, name = randomUUID()) => createRateLimiter(name, limit, worker().counts),
  }
  contractsOf(form)

  test('a worker continues alone while its supervisor does not answer, then with it', async () => {
    const { port1, port2 } = new MessageChannel()
    const late = shareThroughSupervisor(wireOf(port1), silent)
    const other = worker()
    const [alice, nonce, name] = [newKey(), randomUUID(), randomUUID()]
    const limiters = [late, other].map(({ counts }) => createRateLimiter(name, 2, counts))
    const heard: PublishedMessage[] = []
    const fanout = late.joinFanout((message) => {
      heard.push(message)
    })
    const since = performance.now()

    await fanout.listen(alice)
    expect(await other.replayGuard.firstSeen(alice, nonce)).toBe(true)
    expect([
      await late.replayGuard.firstSeen(alice, nonce),
      await late.replayGuard.firstSeen(alice, nonce),
    ]).toEqual([true, false])
    for (let i = 0; i < 2; i++) await limiters[0]!.consume(alice)
    expect([late.up, fanout.connected]).toEqual([false, false])
    expect(performance.now() - since).toBeLessThan(1000)

    stateOf().serve(wireOf(port2))
    await until(async () => {
      await late.replayGuard.firstSeen(alice, randomUUID())
      return late.up
    })
    other.joinFanout(() => {}).publish(messageFor(alice))
    await until(() => heard.length === 1)
    await other.replayGuard.firstSeen(alice, 'again')
    expect(await late.replayGuard.firstSeen(alice, 'again')).toBe(false)
  })

  test('the requests of one turn of the event loop are one message', async () => {
    const { port1, port2 } = new MessageChannel()
    const batches: unknown[] = []
    const wire = wireOf(port2)
    wire.onMessage((message) => {
      batches.push(message)
    })
    stateOf().serve(wire)
    const sharing = shareThroughSupervisor(wireOf(port1), silent)

    await Promise.all([
      ...Array.from({ length: 3 }, async () => await sharing.counts!.add('name', 'key', 1, true)),
      sharing.replayGuard.firstSeen(newKey(), randomUUID()),
    ])

    expect(batches).toHaveLength(1)
  })
})

const whereRedisIs = canRunRedis() ? describe : (): void => {}

whereRedisIs('through Redis', () => {
  let process: PrivateRedis
  const namespace = randomUUID()
  const connections: Array<{ close: () => void }> = []

  const connect = (): SharedRedis => {
    const redis = new SharedRedis(new Secret(process.url), namespace, silent)
    connections.push(redis)
    return redis
  }
  let shared: SharedRedis

  beforeAll(async () => {
    process = await PrivateRedis.create()
    shared = connect()
    await until(() => shared.up)
  })

  afterAll(async () => {
    for (const connection of connections.reverse()) connection.close()
    await process.kill()
  })

  const form: Form = {
    fanout(deliver) {
      const fanout = new RedisFanout(shared, deliver, silent)
      connections.push(fanout)
      return {
        ...bind(fanout),
        listen: async (recipient) => {
          await ready(fanout, recipient)
        },
      }
    },
    replayGuard: (windowMs) =>
      new SharedReplayGuard(new MemoryReplayGuard(windowMs), new RedisNonces(shared, { windowMs })),
    rateLimiter: (limit, name = randomUUID()) =>
      createRateLimiter(name, limit, new RedisCounts(shared)),
  }
  const bind = (fanout: RedisFanout): Fanout => ({
    connected: true,
    publish: (message) => {
      fanout.publish(message)
    },
    listen: async (recipient) => {
      await fanout.listen(recipient)
    },
    unlisten: (recipient) => {
      fanout.unlisten(recipient)
    },
    close: () => {
      fanout.close()
    },
  })
  /** A new node may not be connected yet, and then listens only once it is. */
  const ready = async (fanout: RedisFanout, recipient: string): Promise<void> => {
    await until(() => fanout.connected)
    await fanout.listen(recipient)
  }
  contractsOf(form)

  test('full sets of nonces in Redis drop the oldest', async () => {
    const alice = newKey()
    const name = randomUUID()
    const other = new SharedRedis(new Secret(process.url), name, silent)
    connections.push(other)
    await until(() => other.up)
    const node = (): SharedReplayGuard =>
      new SharedReplayGuard(
        new MemoryReplayGuard(),
        new RedisNonces(other, { sets: 1, setSize: 10 }),
      )
    const nonces = Array.from({ length: 35 }, () => randomUUID())
    const guard = node()
    for (const nonce of nonces) expect(await guard.firstSeen(alice, nonce)).toBe(true)

    // Ten of the previous set and five of the newest.
    const again = node()
    for (const nonce of nonces.slice(-15)) expect(await again.firstSeen(alice, nonce)).toBe(false)
    expect(await again.firstSeen(alice, nonces[0]!)).toBe(true)
    const sizes = await Promise.all(
      (await other.client.keys(`*${name}*`)).map(async (key) => await other.client.sCard(key)),
    )
    expect(Math.max(...sizes)).toBeLessThanOrEqual(10)
  })

  test('a rejection by both limits is not an unhandled rejection', async () => {
    const [perAddress, perIdentity] = [
      createRateLimiter(randomUUID(), 10, new RedisCounts(shared)),
      createRateLimiter(randomUUID(), 1),
    ]
    const [address, identityKey] = [randomUUID(), newKey()]
    const other = createMeter({ perAddress, perIdentity })
    const unheard: unknown[] = []
    const onUnheard = (reason: unknown): void => {
      unheard.push(reason)
    }
    process_.on('unhandledRejection', onUnheard)

    for (let i = 0; i < 3; i++)
      await expect(
        (async () => {
          await other.spend({ address, identityKey }, { rows: 24 })
        })(),
      ).rejects.toMatchObject({ code: 'ERR_RATE_LIMITED' })
    await new Promise(setImmediate)

    process_.off('unhandledRejection', onUnheard)
    expect(unheard).toEqual([])
  })

  test('servers of different identities share nothing', async () => {
    const other = new SharedRedis(new Secret(process.url), randomUUID(), silent)
    connections.push(other)
    await until(() => other.up)
    const [alice, nonce] = [newKey(), randomUUID()]

    expect(await form.replayGuard().firstSeen(alice, nonce)).toBe(true)
    expect(
      await new SharedReplayGuard(new MemoryReplayGuard(), new RedisNonces(other)).firstSeen(
        alice,
        nonce,
      ),
    ).toBe(true)
  })

  test('a node ignores invalid messages on a channel', async () => {
    const heard: PublishedMessage[] = []
    const fanout = form.fanout((message) => {
      heard.push(message)
    })
    const alice = newKey()
    await fanout.listen(alice)
    const channel = shared.key(`live:${alice}`)

    for (const text of ['', 'null', '{', '[]', '{"node":"x"}'])
      await shared.client.publish(channel, text)
    const other = new RedisFanout(shared, () => {}, silent)
    connections.push(other)
    await until(() => other.connected)
    other.publish(messageFor(alice))

    await until(() => heard.some((message) => message?.recipient === alice))
  })

  test('Redis is not away if an error leaves the connection open', async () => {
    const redis = connect()
    await until(() => redis.up)

    // As the library reports an error in answer to a ping, for example BUSY.
    redis.client.emit('error', new Error('BUSY Redis is busy running a script.'))

    expect(redis.up).toBe(true)
  })

  test.each(['SIGKILL', 'SIGSTOP'] as const)(
    'nodes work alone while Redis is away (%s), and together when it is back',
    async (signal) => {
      const [a, b] = [form.replayGuard(), form.replayGuard()]
      const name = randomUUID()
      const limiters = [
        createRateLimiter(name, 2, new RedisCounts(shared)),
        createRateLimiter(name, 2, new RedisCounts(shared)),
      ]
      const [alice, nonce] = [newKey(), randomUUID()]
      const heard: PublishedMessage[] = []
      const [near, far] = [
        new RedisFanout(shared, () => {}, silent),
        form.fanout((message) => {
          heard.push(message)
        }),
      ]
      connections.push(near)
      await far.listen(alice)

      await process.kill(signal)
      const since = Date.now()
      expect([
        await a.firstSeen(alice, nonce),
        await a.firstSeen(alice, nonce),
        await b.firstSeen(alice, nonce),
      ]).toEqual([true, false, true])
      for (const limiter of limiters) {
        for (let i = 0; i < 2; i++) await limiter.consume(alice)
        await expect(
          (async () => {
            await limiter.consume(alice)
          })(),
        ).rejects.toMatchObject({ code: 'ERR_RATE_LIMITED' })
      }
      near.publish(messageFor(alice))
      await near.listen(newKey())
      expect(Date.now() - since).toBeLessThan(3000)
      expect(shared.up).toBe(false)

      if (signal === 'SIGKILL') await process.start()
      else await process.kill('SIGCONT')
      // Redis counts as back after it has answered requests again.
      await until(async () => {
        await a.firstSeen(newKey(), randomUUID())
        await limiters[0]!.consume(newKey())
        return shared.up
      })
      const later = randomUUID()
      expect([await a.firstSeen(alice, later), await b.firstSeen(alice, later)]).toEqual([
        true,
        false,
      ])
      await eventually(
        () => {
          near.publish(messageFor(alice))
          return heard.length > 0 ? true : undefined
        },
        () => 'the nodes do not hear each other again',
      )
    },
  )
})
