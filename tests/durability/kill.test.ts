import { describe, expect, test } from '@jest/globals'
import { ENGINES } from '../../tools/databases/databases'
import { canRunGalera } from '../../tools/databases/galera'
import { canRunMariadb } from '../../tools/databases/mariadb'
import { SOUND } from '../../tools/crash/audit'
import { crash } from '../../tools/crash/crash'

/** The short form of `npm run crash`. */
describe('no message is lost, doubled or restored after kill -9 under load', () => {
  test.each(ENGINES)('of the server, on %s', async (engine) => {
    const counts = await crash(engine, { kills: 2 })

    expect(counts).toMatchObject(SOUND)
    expect(counts.unanswered).toBeGreaterThan(0)
    expect(counts.acknowledged).toBeGreaterThan(0)
  })

  test('of a Galera node that one of two servers uses', async () => {
    if (!canRunGalera()) return
    const counts = await crash('galera', { kills: 1 })

    expect(counts).toMatchObject(SOUND)
    expect(counts.refused).toBeGreaterThan(0)
    expect(counts.acknowledged).toBeGreaterThan(0)
  }, 180_000)

  test('of MariaDB', async () => {
    if (!canRunMariadb()) return
    const counts = await crash('mariadb', { kills: 2 })

    expect(counts).toMatchObject(SOUND)
    expect(counts.refused).toBeGreaterThan(0)
    expect(counts.acknowledged).toBeGreaterThan(0)
  })
})
