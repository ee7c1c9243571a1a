import { PrivateKey } from '@bsv/sdk'
import { describe, expect, test } from '@jest/globals'
import { recount } from '../../src/db/quotas/sql'
import { admin, adminOnTerminal, hasTerminals, type AdminRun } from '../../tools/programs/admin'
import { ENGINES, type Engine } from '../../tools/databases/databases'
import { startServer, type TestServer } from '../../tools/servers/server'
import { handshake, post, type HandSession } from '../../tools/clients/signedRequests'

/** Every body contains it: no output of the tool may contain it. */
const SECRET = 'nobody but Bob may read this'

interface Running extends TestServer {
  alice: HandSession
  bob: HandSession
}

async function start(engine: Engine): Promise<Running> {
  const server = await startServer({ engine })
  return { ...server, alice: await handshake(server.origin), bob: await handshake(server.origin) }
}

async function send(
  from: HandSession,
  recipient: string | string[],
  messageBox: string,
  messageId: string | string[],
): Promise<number> {
  return (
    await post(from, '/sendMessage', {
      message: { recipient, messageBox, messageId, body: SECRET },
    })
  ).status
}

/** The JSON document of a run, which must print nothing else and no body. */
function document({ code, stdout, stderr }: AdminRun, expected = 0): Record<string, unknown> {
  expect({ code, stderr }).toEqual({ code: expected, stderr: '' })
  expect(stdout).not.toContain(SECRET)
  return JSON.parse(stdout)
}

async function usageOf({
  server: {
    context: { knex },
  },
}: TestServer): Promise<unknown[]> {
  return await knex('quota_usage')
    .select('identity_key', 'subject', 'messages', 'bytes')
    .where('messages', '<>', 0)
    .orderBy(['identity_key', 'subject'])
}

/** The quota counts must match the stored messages. */
async function expectTrueUsage(server: TestServer): Promise<void> {
  const counted = await usageOf(server)
  await recount(server.server.context.knex)
  expect(counted).toEqual(await usageOf(server))
}

describe.each(ENGINES)('on %s', (engine) => {
  test('shows stored data without message bodies', async () => {
    const { alice, bob, database } = await start(engine)
    for (const [box, id] of [
      ['letters', 'one'],
      ['letters', 'two'],
      ['letters', 'three'],
      ['ads \u001b[2J', 'four'],
    ] as const)
      await send(alice, bob.identityKey, box, id)
    await send(bob, alice.identityKey, 'letters', 'five')
    await post(bob, '/permissions/set', { messageBox: 'ads', recipientFee: -1 })
    await post(bob, '/registerDevice', {
      fcmToken: "a long token that is nobody else's",
      platform: 'web',
    })
    const run = async (...args: string[]): Promise<AdminRun> => await admin(database.env, ...args)

    const [stats, exact, boxes, page, devices, plain, table] = await Promise.all([
      run('stats', '--json'),
      run('stats', '--exact', '--json'),
      run('boxes', bob.identityKey.toUpperCase(), '--json'),
      run('messages', bob.identityKey, 'letters', '--limit', '2', '--json'),
      run('--json', 'devices', bob.identityKey),
      run('stats'),
      run('boxes', bob.identityKey),
    ])

    const bytes = SECRET.length
    const time = expect.stringMatching(/^\d{4}-.*Z$/)
    const totals = {
      messages: 5,
      bytes: 5 * bytes,
      boxes: 3,
      recipients: 2,
      senders: 2,
      oldest: time,
      newest: time,
      rules: 1,
      devices: 1,
      payments: { claimed: 0, stored: 0, settled: 0 },
    }
    expect(document(stats)).toEqual({ database: expect.any(String), source: 'quotas', ...totals })
    expect(document(exact)).toEqual({ database: expect.any(String), source: 'messages', ...totals })
    expect(document(boxes)).toEqual({
      recipient: bob.identityKey,
      next: null,
      boxes: [
        { messageBox: 'ads \u001b[2J', messages: 1, bytes, oldest: time, newest: time },
        { messageBox: 'letters', messages: 3, bytes: 3 * bytes, oldest: time, newest: time },
      ],
    })
    const first = document(page)
    const header = (messageId: string): object => ({
      messageId,
      sender: alice.identityKey,
      bytes,
      createdAt: time,
    })
    expect(first).toEqual({
      recipient: bob.identityKey,
      messageBox: 'letters',
      messages: [header('one'), header('two')],
      next: expect.any(Number),
    })
    expect(
      document(
        await run('messages', bob.identityKey, 'letters', '--after', String(first.next), '--json'),
      ),
    ).toMatchObject({ messages: [header('three')], next: null })
    expect(document(devices)).toMatchObject({
      devices: [{ platform: 'web', fcmToken: "...ody else's", active: true }],
    })
    expect([plain.code, plain.stderr, table.code, table.stderr]).toEqual([0, '', 0, ''])
    expect(plain.stdout).toMatch(/^messages +5$/m)
    expect(table.stdout).toMatch(/^letters +3 /m)
    // A box name must not send control characters to the operator's terminal.
    expect(table.stdout).not.toContain('\u001b')
  })

  test('quotes the last box name for the shell; --json has unprintable names', async () => {
    const { alice, bob, database } = await start(engine)
    const names = ["$(reboot) it's", 'a \u009b31m\u202e\u{e0041} box', 'zone']
    for (const [at, name] of names.entries())
      await send(alice, bob.identityKey, name, `message ${at}`)
    const run = async (...args: string[]): Promise<AdminRun> =>
      await admin(database.env, 'boxes', bob.identityKey, '--limit', '1', ...args)

    const [plain, odd, json] = await Promise.all([
      run(),
      run('--after', names[0]!),
      run('--after', names[0]!, '--json'),
    ])

    expect(plain.stdout.split('\n')[0]).toMatch(/: continue with --after '\$\(reboot\) it'\\''s'$/)
    expect(odd.stdout.split('\n')[0]).toMatch(
      /: the name of the last box is not printable; --json shows it in "next"$/,
    )
    expect(document(json)).toMatchObject({ next: names[1] })
    expect(json.stdout).toContain('"a \\u009b31m\\u202e\\udb40\\udc41 box"')
    expect(plain.stdout + odd.stdout + json.stdout).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u)
  })

  test('a purge removes exactly the reported messages while the server runs', async () => {
    const server = await start(engine)
    const { alice, bob, database } = server
    const crowd = Array.from({ length: 100 }, () =>
      PrivateKey.fromRandom().toPublicKey().toString(),
    )
    for (let i = 0; i < 15; i++)
      await send(
        alice,
        crowd,
        'bulk',
        crowd.map(() => `bulk ${i}`),
      )
    for (const id of ['one', 'two']) await send(alice, bob.identityKey, 'bulk', id)
    for (let i = 0; i < 100; i++) await send(alice, bob.identityKey, 'letters', `letter ${i}`)
    const refused = await admin(database.env, 'purge', '--box', 'bulk', '--json')
    expect([refused.code, JSON.parse(refused.stdout)]).toEqual([
      2,
      { error: { kind: 'usage', message: expect.stringContaining('--yes') } },
    ])

    let done = false
    const purge = admin(database.env, 'purge', '--box', 'bulk', '--yes', '--json').finally(() => {
      done = true
    })
    const statuses: number[] = []
    // One letter is left, however long the purge takes.
    for (let i = 0; i < 99 && !(done && i > 30); i++)
      statuses.push(
        (await post(bob, '/acknowledgeMessage', { messageIds: [`letter ${i}`] })).status,
      )

    expect(document(await purge)).toMatchObject({
      box: 'bulk',
      messages: 1502,
      bytes: 1502 * SECRET.length,
      removed: 1502,
    })
    expect(statuses.filter((status) => status !== 200)).toEqual([])
    const left = await server.server.context.knex('messages').distinct('message_box')
    expect(left.map((row) => String(row.message_box))).toEqual(['letters'])
    await expectTrueUsage(server)
  })

  test('a purge selects by recipient and age', async () => {
    const server = await start(engine)
    const {
      alice,
      bob,
      database,
      server: {
        context: { knex },
      },
    } = server
    for (const [recipient, box, id] of [
      [bob, 'a', 'old a'],
      [bob, 'b', 'old b'],
      [bob, 'b', 'young'],
      [alice, 'b', 'old of another'],
    ] as const)
      await send(alice, recipient.identityKey, box, id)
    await knex('messages')
      .whereNot({ message_id: engine === 'mysql' ? Buffer.from('young') : 'young' })
      .update({ created_at: Date.now() - 31 * 24 * 60 * 60 * 1000 })

    const args = ['purge', '--recipient', bob.identityKey, '--older-than', '30d']
    expect(document(await admin(database.env, ...args, '--dry-run', '--json'))).toMatchObject({
      messages: 2,
      removed: 0,
    })
    const { code, stdout, stderr } = await admin(database.env, ...args, '--yes')

    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain('2 messages were removed')
    expect(
      (await knex('messages').select('message_id').orderBy('id')).map((row) =>
        String(row.message_id),
      ),
    ).toEqual(['young', 'old of another'])
    await expectTrueUsage(server)
  })
})

test('without quotas, a purge creates no counts', async () => {
  const off = {
    INBOX_QUOTA_MESSAGES: 'off',
    INBOX_QUOTA_BYTES: 'off',
    SENDER_QUOTA_MESSAGES: 'off',
    SENDER_QUOTA_BYTES: 'off',
  }
  const server = await startServer({ env: off })
  const alice = await handshake(server.origin)
  await send(alice, alice.identityKey, 'inbox', 'one')

  // The tool runs without the server's own settings.
  expect(
    document(
      await admin(
        server.database.env,
        'purge',
        '--recipient',
        alice.identityKey,
        '--yes',
        '--json',
      ),
    ),
  ).toMatchObject({ removed: 1 })

  expect(await server.server.context.knex('quota_usage').select()).toEqual([])
})

describe('on a terminal', () => {
  if (!hasTerminals()) return

  test.each([
    ['yes', 0, 0],
    ['no', 1, 1],
  ])('a purge says what it removes, and accepts "%s" as an answer', async (answer, code, left) => {
    const {
      alice,
      bob,
      database,
      server: {
        context: { knex },
      },
    } = await start('sqlite')
    await send(alice, bob.identityKey, 'inbox', 'one')

    const run = await adminOnTerminal(database.env, answer, 'purge', '--recipient', bob.identityKey)

    expect(run.stdout).toContain(
      `Remove 1 message of ${bob.identityKey} (${SECRET.length} bytes of bodies) from SQLite, `,
    )
    expect(run.code).toBe(code)
    expect(await knex('messages').select()).toHaveLength(left)
  })

  test('a long command shows its progress, but not with --json', async () => {
    const { alice, bob, database } = await start('sqlite')
    await send(alice, bob.identityKey, 'inbox', 'one')

    const [shown, silent] = await Promise.all([
      adminOnTerminal(database.env, '', 'purge', '--box', 'inbox', '--dry-run'),
      adminOnTerminal(database.env, '', 'purge', '--box', 'inbox', '--dry-run', '--json'),
    ])

    expect(shown.stdout).toContain('counting: 1 message looked at')
    expect(JSON.parse(silent.stdout)).toMatchObject({ messages: 1, removed: 0 })
  })
})

describe('arguments', () => {
  test('wrong arguments exit with 2 and an error that names the fault', async () => {
    const calls: Array<[args: string[], says: string]> = [
      [['purge', '--yes'], 'Say which messages'],
      [['purge', '--older-than', 'soon', '--json'], 'such as 30d'],
      [['boxes', '02ff', '--json'], 'must be an identity key'],
      [['frobnicate'], 'unknown command'],
    ]
    for (const [run, args, says] of await Promise.all(
      calls.map(async ([args, says]) => [await admin({}, ...args), args, says] as const),
    )) {
      expect({ args, code: run.code }).toEqual({ args, code: 2 })
      if (args.includes('--json'))
        expect([run.stderr, JSON.parse(run.stdout)]).toEqual([
          '',
          { error: { kind: 'usage', message: expect.stringContaining(says) } },
        ])
      else expect([run.stdout, run.stderr]).toEqual(['', expect.stringContaining(says)])
    }
  })

  test('advertise names the settings that it requires', async () => {
    const { code, stderr } = await admin({}, 'advertise')

    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(
        /HOSTING_DOMAIN must be .* to advertise the server\n.*SERVER_PRIVATE_KEY is required to/,
      ),
    ])
    expect(stderr).toContain('WALLET_STORAGE_URL is required to advertise the server')
    expect(stderr).not.toContain('ADVERTISE=true')
  })

  test('identity prints the key of keygen; --help prints the usage', async () => {
    const made = document(await admin({}, 'keygen', '--json')) as {
      identityKey: string
      privateKey: string
    }
    const [who, help, about, none] = await Promise.all([
      admin({ SERVER_PRIVATE_KEY: made.privateKey, NETWORK: 'test' }, 'identity', '--json'),
      admin({}, 'purge', '--help'),
      admin({}, '--help'),
      admin(
        { KNEX_DB_CLIENT: 'sqlite', KNEX_DB_CONNECTION: '{"filename":"nowhere.sqlite"}' },
        'stats',
        '--json',
      ),
    ])
    expect(document(who)).toEqual({
      identityKey: made.identityKey,
      network: 'test',
      hostingDomain: null,
      cryptography: expect.stringMatching(/^(native|javascript)$/),
    })
    expect([help.code, help.stdout]).toEqual([0, expect.stringContaining('For example:')])
    expect([about.code, about.stdout]).toEqual([0, expect.stringContaining('Exit codes:')])
    expect(document(none, 1)).toEqual({
      error: { kind: 'failure', message: expect.stringContaining('There is no database at') },
    })
  })
})
