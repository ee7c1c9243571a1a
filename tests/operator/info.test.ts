import { expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import request from 'supertest'
import { expectCors, expectError } from '../../tools/contract/refusals'
import { startServer } from '../../tools/servers/server'

const { name, version } = JSON.parse(
  readFileSync(join(__dirname, '../../package.json'), 'utf8'),
) as { name: string; version: string }

test('/info describes the server with its default limits', async () => {
  const env = {
    RATE_LIMIT_ADDRESS: '1200',
    RATE_LIMIT_IDENTITY: '3000',
    INBOX_QUOTA_MESSAGES: '10000',
    INBOX_QUOTA_BYTES: '1gb',
    SENDER_QUOTA_MESSAGES: '10000',
    SENDER_QUOTA_BYTES: '1gb',
    MAX_CONNECTIONS_ADDRESS: '4000',
    MAX_SOCKETS_ADDRESS: '2000',
    MAX_SOCKETS_IDENTITY: '50',
    VERIFICATION_SECONDS: '20',
  }
  const { host, server } = await startServer({ env })
  const { headers, body } = await request(host).get('/info').expect(200)

  expectCors(headers)
  expect(body).toEqual({
    name,
    version,
    identityKey: server.context.serverKey.identityKey,
    network: 'main',
    hostingDomain: null,
    limits: {
      bodyBytes: 10 * 1024 * 1024,
      liveBodyBytes: 1024 * 1024,
      liveEventBytes: 1024 * 1024,
      recipients: 100,
      messageIdCharacters: 255,
      messageBoxCharacters: 255,
      acknowledgedIds: 1000,
      page: { messages: 1000, bytes: 4000 * 1024 },
      rates: { address: 1200, identity: 3000 },
      concurrentRequests: 500,
      connections: { address: 4000 },
      sockets: { address: 2000, identity: 50 },
      verificationSeconds: 20,
      memory: { incoming: 128 * 1024 ** 2, outgoing: 128 * 1024 ** 2 },
      rules: 10_000,
      quotas: {
        inbox: { messages: 10_000, bytes: 1024 ** 3 },
        sender: { messages: 10_000, bytes: 1024 ** 3 },
      },
      retentionDays: null,
    },
    deliveryFees: {},
    features: { live: false, overlay: false, push: false, payments: true, manyNodes: false },
    advertising: null,
  })
})

test('/info reflects every setting, under the routing prefix', async () => {
  const env = {
    ROUTING_PREFIX: '/api',
    HOSTING_DOMAIN: 'https://box.example.com',
    NETWORK: 'test',
    ENABLE_WEBSOCKETS: 'true',
    MAX_BODY_SIZE: '1mb',
    MAX_PAGE_BYTES: '2mb',
    RATE_LIMIT_ADDRESS: 'off',
    RATE_LIMIT_IDENTITY: '7',
    MAX_CONCURRENT_REQUESTS: 'off',
    INBOX_QUOTA_MESSAGES: '1',
    INBOX_QUOTA_BYTES: 'off',
    SENDER_QUOTA_MESSAGES: 'off',
    SENDER_QUOTA_BYTES: '3kb',
    MESSAGE_RETENTION_DAYS: '90',
  }
  const { host } = await startServer({ env })
  const { body } = await request(host).get('/info')

  expect(body).toMatchObject({
    network: 'test',
    hostingDomain: 'https://box.example.com',
    limits: {
      bodyBytes: 1024 ** 2,
      page: { bytes: 2 * 1024 ** 2 },
      rates: { address: null, identity: 7 },
      concurrentRequests: null,
      quotas: { inbox: { messages: 1, bytes: null }, sender: { messages: null, bytes: 3072 } },
      retentionDays: 90,
    },
    features: { live: true },
  })
})

test('/info rejects other methods', async () => {
  const { host } = await startServer()
  expectError(await request(host).post('/info'), [405, 'ERR_METHOD_NOT_ALLOWED'])
})
