// Runs the README: each ```sh block in order, in one shell each; a block marked `sh background` stays up until the end.
import { execFileSync, spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'

const readme = readFileSync('README.md', 'utf8')
const blocks = [...readme.matchAll(/^```sh( [a-z]+)?\n([\s\S]*?)^```$/gm)].map(([, mode, text]) => ({ mode: mode?.trim(), text }))
const background = []

/** Resolves once the process has printed that it serves. */
const untilReady = child =>
  new Promise((resolve, reject) => {
    let printed = ''
    child.stdout.on('data', data => {
      printed += data
      if (/is ready|try:/i.test(printed)) resolve()
    })
    child.on('exit', code => reject(new Error(`it ended with ${code} before it was ready:\n${printed}`)))
  })

let ran = 0
try {
  for (const { mode, text } of blocks) {
    if (mode === 'install') continue
    console.log(text.trim().replace(/^/gm, '$ '))
    if (mode === 'background') {
      const child = spawn('bash', ['-euc', `exec ${text.trim()}`], { stdio: ['ignore', 'pipe', 'inherit'], detached: true })
      background.push(child)
      await untilReady(child)
    } else {
      process.stdout.write(execFileSync('bash', ['-euc', text], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }))
    }
    ran++
  }
  if (ran === 0) throw new Error('the README has no commands')
  console.log(`${ran} blocks of the README ran`)
} finally {
  for (const child of background) process.kill(-child.pid, 'SIGTERM')
  await Promise.all(background.map(child => new Promise(resolve => child.exitCode === null ? child.on('exit', resolve) : resolve())))
  rmSync('stretto-data', { recursive: true, force: true })
}
