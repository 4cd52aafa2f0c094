// Packs the package, installs it into an empty project, and uses it there as a stranger would.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const folder = mkdtempSync(join(tmpdir(), 'stretto-package-'))
const run = (command, args, cwd) => execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })

try {
  run('npm', ['pack', '--silent', '--pack-destination', folder], process.cwd())
  const { version } = JSON.parse(run('node', ['-p', 'JSON.stringify(require("./package.json"))'], process.cwd()))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'stranger', private: true, type: 'module' }))
  run('npm', ['install', '--silent', '--no-audit', '--no-fund', `stretto-${version}.tgz`], folder)
  const printed = run('npx', ['stretto', '--version'], folder).trim()
  if (printed !== version) throw new Error(`stretto --version says ${printed}, the package ${version}`)
  writeFileSync(
    join(folder, 'use.mjs'),
    `import { connect, StrettoError } from 'stretto'
     import { connect as again } from 'stretto/client'
     import { startNode } from 'stretto/node'
     import { simulate } from 'stretto/sim'
     const { operations, violations } = await simulate({ nodes: 3, faults: ['crash', 'partition'], duration: '2s' })
     if (operations === 0 || violations.length > 0) process.exit(2)
     if (connect !== again || typeof startNode !== 'function' || typeof StrettoError !== 'function') process.exit(1)`
  )
  run('node', ['use.mjs'], folder)
  process.stdout.write(run('npx', ['stretto', 'demo'], folder))
  console.log(`the package ${version} installs and runs`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
