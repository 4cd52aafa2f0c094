// Every example runs as its users run it, against a real cluster, and says what it is to say.
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { t } from 'tap'
import { freePorts } from '../../bin/local-cluster.ts'
import { runCli } from '../help/run-cli.ts'
import { Running } from '../help/running.ts'

const root = join(import.meta.dirname, '../..')

t.setTimeout(120_000)

const said: Readonly<Record<string, string>> = {
  'configuration.ts': `web shows 20 rows
put web {"theme":"light","pageSize":50}
web shows 50 rows
refused: pageSize: at least 1
`,
  'job-queue.ts': `there already: 1
results: 11 22 33 44 55 66
done: 6
`,
  'leader-election.ts': '',
  'rate-limiter.ts': `admitted: 5 of 8
another user: true
a second later: true
`,
  'service-discovery.ts': `mail is served at 10.0.0.1:25, 10.0.0.2:25
mail is served at 10.0.0.2:25
`
}

function run(file: string, endpoints: string): Promise<{ readonly code: number | null; readonly out: string }> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, STRETTO_ENDPOINTS: endpoints }
    const child = spawn(process.execPath, ['--import=tsx', join('examples', file)], { cwd: root, env })
    let out = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        out += text
      })
    }
    child.on('error', reject)
    child.on('close', code => resolve({ code, out }))
  })
}

t.test('every example runs, and leaves nothing behind', async t => {
  const files = readdirSync(join(root, 'examples')).filter(name => name.endsWith('.ts'))
  t.same(files.toSorted(), Object.keys(said))
  const [port] = await freePorts(1)
  const cluster = new Running(['cluster', '--base-port', String(port), '--data-dir', t.testdir({})])
  t.teardown(() => cluster.child.kill('SIGTERM'))
  const endpoints = (await cluster.said(/endpoints +(\S+)/))[1]!
  for (const file of files) {
    const { code, out } = await run(file, endpoints)
    t.equal(code, 0, out)
    if (file === 'leader-election.ts') {
      t.match(out, /^(ada|bob) leads\n\1 works, and the store agrees: true\n\1 resigns\n(ada|bob) leads\n\2 works/)
      t.match(out, /seen by others: ada and bob\n$/)
    } else t.equal(out, said[file])
  }
  const left = await runCli([
    'get',
    '',
    '--range-end',
    '\u{10ffff}',
    '--keys-only',
    '-o',
    'value',
    '--endpoints',
    endpoints
  ])
  t.match(left.out, /^(rate\/\S+\n)*$/, 'but what goes by itself')
  t.equal(await cluster.stop(), 0)
})
