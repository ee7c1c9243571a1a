/** A self-signed certificate for a loopback address, by RFC 5280, since Node cannot create one. */
import { generateKeyPairSync, sign } from 'node:crypto'

export interface Certificate {
  /** PEM. */
  key: string
  cert: string
}

const SEQUENCE = 0x30
const SET = 0x31
const ECDSA_WITH_SHA256 = '06082a8648ce3d040302'
const COMMON_NAME = '0603550403'
const SUBJECT_ALT_NAME = '0603551d11'
const BASIC_CONSTRAINTS = '0603551d13'

/** @param address IPv4 */
export function makeCertificate(address: string): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const algorithm = der(SEQUENCE, hex(ECDSA_WITH_SHA256))
  const name = der(
    SEQUENCE,
    der(SET, der(SEQUENCE, hex(COMMON_NAME), der(0x0c, Buffer.from(address)))),
  )
  const validity = der(
    SEQUENCE,
    time(Date.now() - 60 * 60 * 1000),
    time(Date.now() + 60 * 60 * 1000),
  )
  const alternative = der(SEQUENCE, der(0x87, Buffer.from(address.split('.').map(Number))))
  const extensions = der(
    0xa3,
    der(
      SEQUENCE,
      der(SEQUENCE, hex(SUBJECT_ALT_NAME), der(0x04, alternative)),
      der(SEQUENCE, hex(BASIC_CONSTRAINTS), hex('0101ff'), der(0x04, hex('30030101ff'))),
    ),
  )
  const version3 = hex('a003020102')
  const serial = hex('020101')
  const body = der(
    SEQUENCE,
    version3,
    serial,
    algorithm,
    name,
    validity,
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    extensions,
  )
  const signature = der(0x03, Buffer.from([0]), sign('sha256', body, privateKey))
  const base64 = der(SEQUENCE, body, algorithm, signature).toString('base64')
  const lines = base64.replace(/.{64}/g, '$&\n')
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
  }
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const length =
    content.length < 0x80 ? [content.length] : [0x82, content.length >> 8, content.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

function hex(bytes: string): Buffer {
  return Buffer.from(bytes, 'hex')
}

/** Encodes a time as UTCTime. */
function time(milliseconds: number): Buffer {
  return der(
    0x17,
    Buffer.from(
      `${new Date(milliseconds)
        .toISOString()
        .replace(/\..*|[-:T]/g, '')
        .slice(2)}Z`,
    ),
  )
}
