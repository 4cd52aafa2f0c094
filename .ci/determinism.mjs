// The simulator on another major version of Node: the same seeds must come to the same digests. Fetched from the registry.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const major = process.versions.node.startsWith('24.') ? 22 : 24
const folder = mkdtempSync(join(tmpdir(), 'stretto-node-'))
const digests = node => execFileSync(node, ['--import=tsx', 'test/help/digests.ts', '3'], { encoding: 'utf8' })
try {
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--prefix', folder, `node@${major}`], { stdio: ['ignore', 'ignore', 'inherit'] })
  const other = join(folder, 'node_modules', '.bin', 'node')
  const version = execFileSync(other, ['--version'], { encoding: 'utf8' }).trim()
  if (!version.startsWith(`v${major}.`)) throw new Error(`node@${major} turned out to be ${version}`)
  const [here, there] = [digests(process.execPath), digests(other)]
  if (here !== there) throw new Error(`${process.version} and ${version} come to different digests:\n${here}\n${there}`)
  console.log(`${process.version} and ${version} come to the same digests:\n${here}`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
