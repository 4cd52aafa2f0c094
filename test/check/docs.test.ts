// The documents against the code: what stands in their tables and links is compared, so that it cannot fall behind.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { t } from 'tap'
import { commands } from '../../bin/commands.ts'
import { exitCode } from '../../bin/faults.ts'
import { createProgram } from '../../bin/program.ts'
import { errorCodes } from '../../lib/base/errors.ts'
import { kvDefaults } from '../../lib/kv/kv-machine.ts'
import { sessionLimits } from '../../lib/machine/session-table.ts'
import { newCounters } from '../../lib/node/counters.ts'
import { nodeLimits } from '../../lib/node/limits.ts'
import { boundsOf } from '../../lib/node/room.ts'
import { defaultConfig } from '../../lib/raft/config.ts'
import { recordKind } from '../../lib/record/record.ts'
import { portLimits } from '../../lib/server/client-port.ts'
import { createMetrics } from '../../lib/server/metrics.ts'
import { readServerOptions } from '../../lib/server/options.ts'
import { statusOf } from '../../lib/server/status-of.ts'
import { faultClasses } from '../../lib/sim/faults.ts'
import { frameKind as clientKind, consistencies } from '../../lib/wire/client.ts'
import { commandOp } from '../../lib/wire/kv/commands.ts'
import { questionOp } from '../../lib/wire/kv/questions.ts'
import { frameKind as peerKind, refusalCodes } from '../../lib/wire/peer.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const documents = ['README.md', 'CHANGELOG.md', ...filesUnder('docs')]

function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.md'))
    .map(entry => relative(root, join(entry.parentPath, entry.name)))
    .toSorted()
}

function sourcesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => join(folder, name))
}

function textOf(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

/** The rows below the first table head of a document that begins with these cells. */
function table(path: string, ...head: string[]): string[][] {
  const lines = textOf(path).split('\n')
  const at = lines.findIndex(line => line.startsWith(`| ${head.join(' | ')} |`))
  if (at < 0) throw new Error(`${path} has no table that begins with ${head.join(', ')}`)
  const rows: string[][] = []
  for (const line of lines.slice(at + 2)) {
    if (!line.startsWith('|')) break
    rows.push(
      line
        .slice(1, line.lastIndexOf('|'))
        .split('|')
        .map(cell => cell.trim())
    )
  }
  return rows
}

function inBackticks(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(match => match[1]!)
}

function numbered(rows: readonly string[][]): Record<string, number> {
  return Object.fromEntries(rows.map(([number, name]) => [name!, Number(number)]))
}

t.test('defaults are those of the code, and none of the larger groups is left out', async t => {
  const groups: Record<string, Readonly<Record<string, unknown>>> = {
    'raft/config.ts': { ...defaultConfig },
    'node/limits.ts': { ...nodeLimits },
    'server/client-port.ts': { ...portLimits },
    'kv/kv-machine.ts': { ...kvDefaults },
    'machine/session-table.ts': { ...sessionLimits }
  }
  const told = new Set<string>()
  for (const [nameCell, value, , whereCell] of table('docs/OPERATING.md', 'Name', 'Default')) {
    const name = inBackticks(nameCell!)[0]!
    const where = inBackticks(whereCell!)[0]!
    const inCode = groups[where] === undefined ? await constantOf(where, name) : groups[where][name]
    const inTable = value === 'false' ? false : Number(value!.replaceAll(',', ''))
    t.equal(inCode, inTable, `${name} in ${where}`)
    told.add(`${where} ${name}`)
  }
  for (const [where, group] of Object.entries(groups)) {
    for (const name of Object.keys(group)) if (!told.has(`${where} ${name}`)) t.fail(`${name} in ${where} is not told`)
  }
})

/** What a file of lib/ exports under this name; where it exports none, what its text says of it. */
async function constantOf(where: string, name: string): Promise<unknown> {
  const path = join(root, 'lib', where)
  const text = readFileSync(path, 'utf8')
  if (text.includes(`export const ${name} `)) {
    const module = (await import(path)) as Readonly<Record<string, unknown>>
    return module[name]
  }
  const found = new RegExp(`\\b${name}(?::| =|: [\\w.]+ \\?\\?) ([\\d_]+)\\b`).exec(text)
  return found === null ? 'not found' : Number(found[1]!.replaceAll('_', ''))
}

const stillStarting = await (async () => {
  const options = await readServerOptions({ flags: {}, env: {}, directory: '/' })
  const space = { level: 'ample', space: { freeBytes: 0, bounds: boundsOf(0), looks: 0 } } as const
  return statusOf({
    options,
    life: null,
    reasons: [],
    revision: 1,
    compactedRevision: 0,
    space,
    stateBytes: 0,
    uptimeMs: 0,
    version: '0'
  })
})()

t.test('metrics are those of the code, and the other way round', async t => {
  const text = await createMetrics({ status: () => stillStarting, counters: () => [newCounters()] })()
  const inCode = [...text.matchAll(/^# TYPE (stretto_\w+) (\w+)$/gm)].map(match => `${match[1]} ${match[2]}`)
  const told = table('docs/OPERATING.md', 'Metric').map(([name, kind]) => `${inBackticks(name!)[0]} ${kind}`)
  t.strictSame(told.toSorted(), inCode.toSorted())
})

t.test('fields of the status are those of the code', async t => {
  const told = table('docs/OPERATING.md', 'Field', 'Meaning').map(([name]) => inBackticks(name!)[0]!)
  t.strictSame(told.toSorted(), Object.keys(stillStarting).toSorted())
})

t.test('commands, their options and exit codes are those of the program', async t => {
  const program = await createProgram({ out: () => {}, err: () => {} }, 'every')
  const inCode: Record<string, string[]> = {}
  for (const command of program.commands) {
    if (commands.some(({ name, hidden }) => name === command.name() && hidden !== true)) {
      inCode[command.name()] = command.options.map(option => option.long!).toSorted()
    }
  }
  const told = table('docs/OPERATING.md', 'Command', 'Options').map(([name, options]) => [
    inBackticks(name!)[0]!,
    inBackticks(options!).toSorted()
  ])
  t.strictSame(Object.fromEntries(told), inCode)
  const codes = table('docs/OPERATING.md', 'Exit code').map(([code]) => Number(code))
  t.strictSame(codes, Object.values(exitCode))
})

t.test('every event of the log is told', async t => {
  const inCode = new Set<string>()
  for (const path of ['bin/start.ts', 'lib/server/server.ts', 'lib/server/lives.ts', 'lib/server/findings.ts']) {
    for (const match of textOf(path).matchAll(/\{ event: '(\w+)'/g)) inCode.add(match[1]!)
  }
  const told = table('docs/OPERATING.md', 'Event').map(([name]) => inBackticks(name!)[0]!)
  t.strictSame(told.toSorted(), [...inCode].toSorted())
})

t.test('numbers on the wire are those of the code', async t => {
  const path = 'docs/PROTOCOL.md'
  t.strictSame(numbered(table(path, 'Kind', 'Record')), recordKind)
  t.strictSame(numbered(table(path, 'Kind', 'Frame', 'From')), clientKind)
  t.strictSame(numbered(table(path, 'Kind', 'Frame', 'Layout after the first byte')), peerKind)
  t.strictSame(
    table(path, 'Number', 'Name').map(([, name]) => name),
    [...consistencies]
  )
  t.strictSame(
    table(path, 'Code', 'Name').map(([, name]) => name),
    [...refusalCodes]
  )
  t.strictSame(
    table(path, 'Number', 'Code').map(([number, name]) => `${number} ${name}`),
    errorCodes.map((code, at) => `${at + 1} ${code}`)
  )
  const firstNumbers = (head: string): Record<string, number> =>
    Object.fromEntries(
      table(path, head, 'Layout').map(([name, layout]) => [name, Number(/^\[(\d+)/.exec(layout!)![1])])
    )
  t.match(commandOp, firstNumbers('Command'))
  t.match(questionOp, firstNumbers('Question'))
})

t.test('the table of imports is that of the house rules', async t => {
  const rules = /const table[^{]*\{\n([\s\S]*?)\n\}/.exec(textOf('test/check/house.test.ts'))![1]!
  const inCode: Record<string, string[]> = {}
  for (const [, room, list] of rules.matchAll(/^ {2}(\w+): \[([^\]]*)\]/gm)) {
    inCode[room!] = [...list!.matchAll(/'([^']+)'/g)].map(match => match[1]!)
  }
  const told = table('docs/ARCHITECTURE.md', 'Room').map(([room, list]) => [inBackticks(room!)[0]!, inBackticks(list!)])
  t.strictSame(Object.fromEntries(told), inCode)
})

t.test('invariants name files and tests that there are', async t => {
  const text = textOf('docs/INVARIANTS.md')
  const rows = text.split('\n').filter(line => /^\| I[A-Z]\d+ /.test(line))
  const codes = rows.map(row => row.split('|')[1]!.trim())
  t.equal(new Set(codes).size, codes.length, 'each code once')
  for (const row of rows) {
    const [, code, , asserted, tried] = row.split('|')
    t.ok(inBackticks(tried!).length > 0, `${code!.trim()} is tried somewhere`)
    for (const [, path, quotes] of `${asserted} ${tried}`.matchAll(/`([^`]+)`((?:,? "[^"]+")*)/g)) {
      if (!existsSync(join(root, path!))) {
        t.fail(`${code}names ${path}, which is not there`)
        continue
      }
      const content = textOf(path!)
      for (const [, quote] of quotes!.matchAll(/"([^"]+)"/g)) {
        if (!content.includes(quote!)) t.fail(`${code}: ${path} does not say "${quote}"`)
      }
    }
  }
  for (const path of sourcesUnder('lib/sim')) {
    for (const [code] of textOf(path).matchAll(/(?<=')I[A-Z]\d+(?=')/g)) {
      if (!codes.includes(code)) t.fail(`${code} is judged in ${path} and not told`)
    }
  }
})

t.test('faults of the simulator are those of the code', async t => {
  const path = 'docs/SIMULATION.md'
  const inCode = Object.entries(faultClasses).map(([name, { everyMs, msMin, msMax, amountMin, amountMax, text }]) => {
    const lasts = msMax === 0 ? 'at once' : `${msMin} to ${msMax} ms`
    return ['`' + name + '`', `${everyMs / 1000} s`, lasts, `${amountMin} to ${amountMax}`, text]
  })
  t.strictSame(table(path, 'Class', 'Every', 'Lasts'), inCode)
})

t.test('every link leads somewhere', async t => {
  let links = 0
  for (const path of documents) {
    const prose = textOf(path).replaceAll(/^```[\s\S]*?^```$/gm, '')
    for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^\w+:/.test(target!)) continue
      links++
      const [file, anchor] = target!.split('#')
      const found = file === '' ? join(root, path) : resolve(root, dirname(path), file!)
      if (!existsSync(found)) t.fail(`${path} links to ${target}, which is not there`)
      else if (anchor !== undefined && !anchorsOf(found).includes(anchor))
        t.fail(`${path} links to ${target}: no such heading`)
    }
  }
  t.ok(links > 20)
})

/** The names by which headings of a document are linked to. */
function anchorsOf(path: string): string[] {
  return [...readFileSync(path, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(/\s/g, '-')
  )
}

t.test('files that are named in backticks are there', async t => {
  let names = 0
  for (const path of documents) {
    if (path === 'CHANGELOG.md') continue
    for (const [, name] of textOf(path).matchAll(/`((?:lib|test|bin|bench)\/[\w./-]+\w)`/g)) {
      names++
      if (!existsSync(join(root, name!))) t.fail(`${path} names ${name}, which is not there`)
    }
  }
  t.ok(names > 20)
})
