// Runs a document, by default the README, in the order in which it is read. A block fenced ```sh runs in a shell of its own; `sh background` stays up
// until the end; `sh install` is not run; a block fenced ```js NAME is written to the file NAME.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'

const data = 'stretto-data'
const readyMsMax = 30_000
const document = process.argv[2] ?? 'README.md'
const readme = readFileSync(document, 'utf8')
const blocks = [...readme.matchAll(/^```(sh|js)(?: ([\w.]+))?\n([\s\S]*?)^```$/gm)].map(match => match.slice(1))
const background = []
const written = []

/** Resolves once the process has printed that the whole cluster serves. */
const untilReady = child =>
  new Promise((resolve, reject) => {
    let printed = ''
    const late = setTimeout(() => reject(new Error(`it was not ready in time:\n${printed}`)), readyMsMax)
    child.stdout.on('data', data => {
      printed += data
      if (!/A cluster of \d+ nodes? serves/.test(printed)) return
      clearTimeout(late)
      resolve()
    })
    child.on('exit', code => reject(new Error(`it ended with ${code} before it was ready:\n${printed}`)))
  })

async function run(language, mode, text) {
  if (language === 'js') {
    if (existsSync(mode)) throw new Error(`${mode} is there already`)
    writeFileSync(mode, text)
    written.push(mode)
    return
  }
  console.log(text.trim().replace(/^/gm, '$ '))
  if (mode === 'background') {
    const child = spawn('bash', ['-euc', `exec ${text.trim()}`], { stdio: ['ignore', 'pipe', 'inherit'], detached: true })
    background.push({ child, ended: new Promise(resolve => child.on('exit', resolve)) })
    await untilReady(child)
  } else {
    process.stdout.write(execFileSync('bash', ['-euc', text], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }))
  }
}

if (existsSync(data)) throw new Error(`${data} is there already: it begins without it, and this removes it at its end`)
let ran = 0
try {
  for (const [language, mode, text] of blocks) {
    if (mode === 'install') continue
    await run(language, mode, text)
    ran++
  }
  if (ran === 0) throw new Error(`${document} has no commands`)
  console.log(`${ran} blocks of ${document} ran`)
} finally {
  // To the whole group, as Ctrl-C in a terminal does: npm passes no signal on.
  for (const { child } of background) if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGINT')
  await Promise.all(background.map(({ ended }) => ended))
  for (const file of written) rmSync(file)
  rmSync(data, { recursive: true, force: true, maxRetries: 10, retryDelay: 500 })
}
