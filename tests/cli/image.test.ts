import { expect, test } from '@jest/globals'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = join(__dirname, '../..')

test('the image builds from the files that it copies', () => {
  const [build] = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
    .split(/^FROM /m)
    .slice(1)
  const copied = [...build!.matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, files]) => files!.split(' '))
  const folder = mkdtempSync(join(tmpdir(), 'image-'))
  try {
    for (const file of copied) cpSync(join(ROOT, file), join(folder, file), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))

    const { status, stderr } = spawnSync('npm', ['run', 'build'], { cwd: folder, encoding: 'utf8' })
    expect([status, stderr]).toEqual([0, ''])

    const { stdout } = spawnSync('node', ['dist/src/cli/admin.js', '--help'], {
      cwd: folder,
      encoding: 'utf8',
    })
    expect(stdout).toContain('doctor')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
