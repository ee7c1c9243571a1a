/** A Google service account from its JSON file. No error repeats its contents. */
import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parseFields } from '../contract/primitives'
import { Secret } from '../lib/secret'

export interface ServiceAccount {
  clientEmail: string
  /** In PEM. */
  privateKey: Secret
  projectId?: string
}

/** @throws Error whose message continues the name of a variable */
export function parseServiceAccount(json: string): ServiceAccount {
  const {
    client_email: clientEmail,
    private_key: privateKey,
    project_id: projectId,
  } = parseFields(json) ?? {}
  if (!isText(clientEmail) || !isText(privateKey))
    throw new Error('must hold a service account: an object with client_email and private_key')
  try {
    createPrivateKey(privateKey)
  } catch {
    throw new Error('must hold a private_key in PEM')
  }
  return {
    clientEmail,
    privateKey: new Secret(privateKey),
    ...(isText(projectId) && { projectId }),
  }
}

export function readServiceAccount(path: string): ServiceAccount {
  let json: string
  try {
    json = readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(
      `must be a file that can be read (${String((error as NodeJS.ErrnoException).code)})`,
    )
  }
  return parseServiceAccount(json)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
