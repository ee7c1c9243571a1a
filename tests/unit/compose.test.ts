import { expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { VARIABLES } from '../../src/config'

test('the compose file passes every variable to the server', () => {
  const { services } = parse(readFileSync(join(__dirname, '../../docker-compose.yml'), 'utf8')) as {
    services: { server: { environment: object } }
  }
  const given = Object.keys(services.server.environment)

  // PORT is set, so HTTP_PORT has no effect.
  expect(given.sort()).toEqual(VARIABLES.filter((name) => name !== 'HTTP_PORT').sort())
})
