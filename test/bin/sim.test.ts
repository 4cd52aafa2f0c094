// `stretto sim` as a person and as a script meet it: tables, JSON, exit codes, replays, wrong flags, and a bug that it finds.
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { t } from 'tap'
import { runProgram } from '../../bin/program.ts'
import { readSimOrder } from '../../bin/sim-order.ts'
import { faultNames } from '../../lib/sim/faults.ts'
import { replayCommand } from '../../lib/sim/replay.ts'
import { formatCase } from '../../lib/sim/shrink/case.ts'
import { runCli, type Said } from '../help/run-cli.ts'
import { patched } from '../mutants/mutant.ts'
import { planted } from '../mutants/planted.ts'

t.setTimeout(180_000)

const root = fileURLToPath(new URL('../..', import.meta.url))

t.test('figures as a table: what was run, what struck, and what did not', async t => {
  const { code, out, err } = await runCli(['sim', '--seeds', '3', '--duration', '2s', '--nodes', '3', '-o', 'table'])
  t.equal(code, 0, err)
  t.match(out, /seeds +│ virtual hours +│ events +│ operations checked +│ violations +│ digest/)
  t.match(out, /│ 3 +│ 0\.\d{3} +│ [\d,]+ +│ [\d,]+ +│ 0 +│ [0-9a-f]{8} │/)
  t.match(out, /fault +│ times it struck/)
  t.match(out, /^Asked for, and never struck: [a-z-]+(, [a-z-]+)*\.$/m)
  t.equal(err, '0/3 seeds\n1/3 seeds\n2/3 seeds\n3/3 seeds\n', 'progress goes where no result is')
})

t.test('figures as one object, which are the same every time', async t => {
  const args = ['sim', '--seed', '4', '--seeds', '2', '--duration', '1500ms', '--faults', 'crash,partition,drop']
  const [json, again] = await Promise.all([runCli([...args, '-o', 'json']), runCli(args)])
  t.equal(json.code, 0, json.err)
  t.equal(json.out, again.out, 'JSON is what a pipe gets')
  const { faults, neverFired, ...report } = JSON.parse(json.out)
  t.match(report, {
    seeds: 2,
    virtualMs: Number,
    events: Number,
    operations: Number,
    violations: [],
    digest: /^\w{8}$/
  })
  t.strictSame(new Set([...Object.keys(faults), ...neverFired]), new Set(['crash', 'drop', 'partition']))
})

t.test('a case from a file, and a page of its run', async t => {
  const folder = t.testdir({})
  const file = join(folder, 'case.json')
  const schedule = [{ at: 200, kind: 'crash', node: 'leader', ms: 300, amount: 0 }] as const
  writeFileSync(file, formatCase({ seed: 5, depth: 'shallow', nodes: 3, clients: 2, durationMs: 1_000, schedule }))
  const page = join(folder, 'page.html')
  const said = await runCli(['sim', '--schedule', file, '--trace', page, '-o', 'json'])
  t.match(said, { code: 0, err: '' })
  t.match(JSON.parse(said.out), { seeds: 1, faults: { crash: 1 }, neverFired: [], violations: [] })
  const html = readFileSync(page, 'utf8')
  t.match(html, /^<!doctype html>/)
  t.ok(html.includes(`npx stretto sim --schedule ${file}`), 'the page says how to see it again')
  const seed = await runCli(['sim', '--seed', '5', '--duration', '1s', '--trace', page, '-o', 'json'])
  t.equal(seed.code, 0, seed.err)
  t.match(readFileSync(page, 'utf8'), /npx stretto sim --seed 5 --nodes 5 --clients 4 --depth shallow --duration 1s/)
})

t.test('what is wrong is one line, and nothing runs', async t => {
  const folder = t.testdir({ 'odd.json': '{', 'other.json': '{"seed":1}', 'case.json': '{}' })
  const at = (name: string): string => join(folder, name)
  const cases: readonly (readonly [args: string[], line: RegExp])[] = [
    [['--seeds', '0'], /--seeds '0' is not a whole number of 1 or more/],
    [['--seed', '-1'], /--seed '-1' is not a whole number of 0 or more/],
    [['--seed', '9007199254740991'], /--seed 9007199254740991 leaves no room for 1 seeds/],
    [['--nodes', '10'], /--nodes 10 is more than is simulated: at most 9/],
    [['--clients', '65'], /--clients 65 is more than is simulated: at most 64/],
    [['--duration', '5'], /'5' is not a duration: .*/],
    [['--duration', '0s'], /--duration '0s' is no time at all: at least 1ms/],
    [['--duration', '61m'], /--duration '61m' is too long: at most 1h 0m for each seed/],
    [['--faults', 'crash,flood'], /--faults: there is no fault 'flood': one of all, partition, .*/],
    [['--faults', 'none,crash'], /--faults: faults names 'none' together with others/],
    [['--faults', ','], /--faults is empty: .*/],
    [['--trace', at('page.html')], /--trace shows the run of one seed, and these are 100: name it by --seed/],
    [
      ['--seed', '1', '--seeds', '2', '--trace', at('page.html')],
      /--trace shows the run of one seed, and these are 2: .*/
    ],
    [
      ['--seed', '1', '--trace', at('none/page.html')],
      /--trace '.*page\.html' cannot be written: no such file or directory/
    ],
    [['--seed', '1', '--trace', folder], /--trace '.*' cannot be written: illegal operation on a directory/],
    [['--schedule', at('none.json')], /--schedule '.*none\.json' cannot be read: no such file or directory/],
    [['--schedule', folder], /--schedule '.*' cannot be read: illegal operation on a directory/],
    [['--schedule', at('odd.json')], /--schedule '.*odd\.json': this is no JSON: .*/],
    [['--schedule', at('other.json')], /--schedule '.*other\.json': nodes is missing, and must be .*/],
    [['--schedule', at('case.json'), '--faults', 'all'], /--schedule and --faults exclude each other: .*/],
    [['--schedule', at('case.json'), '--seed', '1'], /--schedule and --seed exclude each other: .*/]
  ]
  for (const [args, line] of cases) {
    let err = ''
    const code = await runProgram(['sim', ...args], { out: () => {}, err: text => void (err += text) })
    t.match(err, new RegExp(`^stretto sim: ${line.source}\\n$`), args.join(' '))
    t.equal(code, 2, args.join(' '))
  }
  let err = ''
  t.equal(await runProgram(['sim', '--depth', 'middle'], { out: () => {}, err: text => void (err += text) }), 2)
  t.match(err, /Allowed choices are shallow, deep/)
})

t.test('the command that replays a run stands for exactly that run', async t => {
  const runs = [
    { seed: 0, nodes: 3, clients: 1, depth: 'deep', faults: faultNames, durationMs: 600_000 },
    { seed: 99, nodes: 9, clients: 64, depth: 'shallow', faults: [], durationMs: 12_000 },
    { seed: 12, nodes: 1, clients: 4, depth: 'shallow', faults: ['crash', 'torn'], durationMs: 1_234 }
  ] as const
  for (const run of runs) {
    const words = replayCommand(run).split(' ')
    t.strictSame(words.splice(0, 3), ['npx', 'stretto', 'sim'])
    const flags: Record<string, string> = {}
    for (let at = 0; at < words.length; at += 2) flags[words[at]!.slice(2)] = words[at + 1]!
    t.strictSame(readSimOrder(flags), { kind: 'seeds', seeds: 1, ...run })
  }
})

t.test('Ctrl-C ends it with what was run so far', async t => {
  const child = spawn(process.execPath, [join(root, 'bin/stretto.js'), 'sim', '--seeds', '5000', '--duration', '1s'])
  let out = ''
  let err = ''
  child.stdout.on('data', (data: Buffer) => void (out += data.toString()))
  child.stderr.on('data', (data: Buffer) => {
    if (err === '') child.kill('SIGINT')
    err += data.toString()
  })
  const code = await new Promise(resolve => child.on('close', resolve))
  const { seeds, violations, digest } = JSON.parse(out)
  t.ok(seeds < 5000)
  t.match({ violations, digest }, { violations: [], digest: /^\w{8}$/ })
  t.equal(code, 130)
  t.match(err, new RegExp(`stretto sim: interrupted after ${seeds} of 5000 seeds\\n$`))
})

/** The command line in a copy of the sources with a bug in it. */
class MutantCli {
  readonly folder = mkdtempSync(join(tmpdir(), 'stretto-sim-'))

  constructor(name: string) {
    for (const part of ['lib', 'bin', 'package.json'])
      cpSync(join(root, part), join(this.folder, part), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(this.folder, 'node_modules'))
    for (const patch of planted.find(mutant => mutant.name === name)!.patches) {
      const file = join(this.folder, patch.file)
      writeFileSync(file, patched(readFileSync(file, 'utf8'), patch))
    }
  }

  run(args: readonly string[]): Promise<Omit<Said, 'signal'>> {
    return new Promise(resolve => {
      const child = spawn(process.execPath, [join(this.folder, 'bin/stretto.js'), ...args], { cwd: this.folder })
      let out = ''
      let err = ''
      child.stdout.on('data', (data: Buffer) => void (out += data.toString()))
      child.stderr.on('data', (data: Buffer) => void (err += data.toString()))
      child.on('close', code => resolve({ code, out, err }))
    })
  }
}

t.test('a bug is found, named, cut down to what it needs, and seen again by the command that was printed', async t => {
  const cli = new MutantCli('acknowledges-before-the-disk-has-it')
  t.teardown(() => rmSync(cli.folder, { recursive: true, force: true }))
  const storm = ['--nodes', '3', '--duration', '3s', '--faults', 'slow-disk,crash']
  const found = await cli.run(['sim', '--seed', '1', '--seeds', '2', ...storm, '-o', 'json'])
  t.equal(found.code, 1, found.err)
  const { seeds, violations } = JSON.parse(found.out)
  t.equal(seeds, 2, 'the others are run all the same')
  const [{ seed, invariant, message, replay, case: shrunk }] = violations
  t.match(found.err, `seed ${seed} broke ${invariant}: ${message}\n  ${replay}\n`)
  t.match(found.err, /stretto sim: \d of 2 runs broke an invariant\n$/)

  const again = await cli.run([...replay.split(' ').slice(2), '-o', 'table'])
  t.equal(again.code, 1)
  t.match(again.out, `seed ${seed} broke ${invariant}: ${message}\n  ${replay}\n`)
  t.match(again.out, /as a file, it runs by: npx stretto sim --schedule FILE\n\{\n/)
  const printed = again.out.slice(again.out.lastIndexOf('\n{\n') + 1)
  t.strictSame(JSON.parse(printed), shrunk, 'both are cut down to the same case')
  t.ok(shrunk.schedule.length <= 2, printed)

  writeFileSync(join(cli.folder, 'case.json'), printed)
  const third = await cli.run(['sim', '--schedule', 'case.json', '--trace', 'page.html', '-o', 'json'])
  t.equal(third.code, 1)
  t.match(JSON.parse(third.out), { violations: [{ invariant, replay: 'npx stretto sim --schedule case.json' }] })
  t.match(readFileSync(join(cli.folder, 'page.html'), 'utf8'), `<b>${invariant}</b>`)
})
