import { expect, test } from '@jest/globals'
import { ByteBudget } from '../../src/limits/budget'

const BUSY = { code: 'ERR_SERVER_BUSY' }

test('an owner has its share, regardless of other owners', () => {
  const budget = new ByteBudget({ total: 100, share: 40 })
  const [first, second] = [budget.open(['mallory']), budget.open(['mallory'])]
  first.resize(30)
  expect(() => {
    second.resize(11)
  }).toThrow(expect.objectContaining(BUSY))
  second.resize(10)
  expect(budget.hasRoom('mallory', 1)).toBe(false)
  budget.open(['alice']).resize(40)

  first.resize(5)
  second.resize(35)
  expect(budget.used).toBe(80)
})

test('an account counts towards the shares of all its owners', () => {
  const budget = new ByteBudget({ total: 100, share: 40 })
  budget.open(['an address', 'alice']).resize(30)
  budget.open(['another address', 'bob']).resize(30)

  expect(() => {
    budget.open(['an address', 'bob']).resize(11)
  }).toThrow(expect.objectContaining(BUSY))
  expect(() => {
    budget.open(['a third address', 'alice']).resize(11)
  }).toThrow(expect.objectContaining(BUSY))
  budget.open(['an address', 'bob']).resize(10)
})

test('over the total, the largest account of the largest owner ends', () => {
  const budget = new ByteBudget({ total: 100, share: 60 })
  const ended: string[] = []
  const open = (owner: string, name: string, bytes: number): ReturnType<ByteBudget['open']> => {
    const account = budget.open([owner], () => {
      ended.push(name)
    })
    account.resize(bytes)
    return account
  }
  open('mallory', 'small', 10)
  open('mallory', 'large', 45)
  open('bob', "bob's", 40)

  const honest = open('alice', "alice's", 20)
  expect(ended).toEqual(['large'])
  expect([budget.used, honest.bytes]).toEqual([70, 20])
  open('carol', "carol's", 59)
  expect(ended).toEqual(['large', "bob's"])
})

test('the largest owner cannot end accounts of others', () => {
  const budget = new ByteBudget({ total: 100, share: 90 })
  const ended: string[] = []
  budget
    .open(['alice'], () => {
      ended.push('alice')
    })
    .resize(30)
  const greedy = budget.open(['mallory'], () => {
    ended.push('mallory')
  })
  greedy.resize(60)

  expect(() => {
    greedy.resize(80)
  }).toThrow(expect.objectContaining(BUSY))
  expect(ended).toEqual([])
})

test('accounts in use do not end, and closed accounts hold no more bytes', () => {
  const budget = new ByteBudget({ total: 100, share: 100 })
  const used = budget.open(['bob'], () => {
    throw new Error('it is in use')
  })
  used.resize(90)
  used.keep()
  expect(() => {
    budget.open(['alice'], () => {}).resize(20)
  }).toThrow(expect.objectContaining(BUSY))

  used.close()
  used.resize(50)
  expect(budget.used).toBe(0)
})
