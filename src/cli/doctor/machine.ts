import { formatBytes } from '../../lib/format'
import { statfsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, resolve } from 'node:path'
import { usesNativeSecp256k1 } from '../../auth/serverKey'
import { GIB, MIB } from '../../config/parsers'
import { count } from '../wording'
import type { Report } from './finding'
import type { Subject } from './check'

const TESTED_NODES = [20, 22, 24]

/** With less free disk space than this, the doctor warns, or reports a problem. */
const LOW_DISK_BYTES = GIB
const FULL_DISK_BYTES = 100 * MIB

/** SQLite's locks do not work on these: NFS, SMB, CIFS, SMB2. */
const NETWORK_FILE_SYSTEMS = [0x6969, 0x517b, 0xff534d42, 0xfe534d42]

export function checkMachine({ config, broken }: Subject, report: Report): void {
  const major = Number(process.versions.node.split('.')[0])
  if (major < TESTED_NODES[0]!)
    report.problem(
      'old-node',
      `Node ${process.version} is too old for this server.`,
      'Install Node 22 or 24.',
    )
  else if (!TESTED_NODES.includes(major))
    report.warning(
      'untested-node',
      `The server is not tested on Node ${process.version}.`,
      `Use Node ${TESTED_NODES.join(', ')}.`,
    )
  else report.ok('node', `Node ${process.version} is supported.`)
  if (usesNativeSecp256k1) report.ok('native-cryptography', 'secp256k1 is native.')
  else
    report.warning(
      'slow-cryptography',
      'secp256k1 has no native build for this platform: signatures are about ten times slower.',
      'Run "npm ci" where python3, make and a C++ compiler are installed.',
    )
  checkWorkers(config.workers, report)
  if (config.db.client === 'better-sqlite3' && !broken.has('KNEX_DB_CONNECTION'))
    checkDisk(dirname(resolve(String(config.db.connection.filename))), report)
}

function checkWorkers(workers: number, report: Report): void {
  const cores = availableParallelism()
  if (workers > cores)
    report.warning(
      'many-workers',
      `WORKERS is ${workers}, but this process may use ${count(cores, 'core')}.`,
      'Set WORKERS=auto, or a smaller number.',
    )
  else if (workers > 1) report.ok('workers', `${workers} workers on ${count(cores, 'core')}.`)
}

function checkDisk(folder: string, report: Report): void {
  let disk
  try {
    disk = statfsSync(folder)
  } catch {
    // The folder does not exist: the database check reports it.
    return
  }
  const free = disk.bavail * disk.bsize
  if (NETWORK_FILE_SYSTEMS.includes(disk.type))
    report.problem(
      'network-disk',
      `${folder} is on a network share, where SQLite is not safe.`,
      'Move the database to a local disk, or use MySQL.',
    )
  if (free < FULL_DISK_BYTES)
    report.problem(
      'disk-full',
      `${folder} has ${formatBytes(free)} left.`,
      'Make room, or move the database: the server cannot store messages on a full disk.',
    )
  else if (free < LOW_DISK_BYTES)
    report.warning(
      'disk-low',
      `${folder} has ${formatBytes(free)} left.`,
      'Make room before it is full.',
    )
  else report.ok('disk', `${folder} has ${formatBytes(free)} left.`)
}
