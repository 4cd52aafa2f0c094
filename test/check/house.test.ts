// The house rules as a test: who may import whom, what pure rooms may not touch, and how a file is made.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { t } from 'tap'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** What each room may import: rooms, or single files of them. Its own files are always allowed. */
const table: Record<string, readonly string[]> = {
  base: [],
  raft: ['base'],
  record: ['base', 'raft/types.ts'],
  wire: ['base', 'raft/types.ts', 'raft/message.ts', 'record', 'machine/answer.ts'],
  log: ['base', 'raft/types.ts', 'raft/doors.ts', 'record'],
  level: ['base'],
  transport: ['base', 'raft/types.ts', 'raft/message.ts', 'record', 'wire'],
  machine: ['base', 'raft/types.ts', 'record/record.ts', 'record/pack.ts'],
  node: ['base', 'raft', 'record', 'machine', 'log/log.ts', 'transport/transport.ts'],
  kv: ['base', 'raft/types.ts', 'record', 'machine', 'wire/kv'],
  client: [
    'base',
    'record/record.ts',
    'record/pack.ts',
    'wire/admin.ts',
    'wire/client.ts',
    'wire/watch.ts',
    'wire/kv',
    'transport/net.ts',
    'transport/web-net.ts',
    'transport/ws-net.ts'
  ],
  server: ['base', 'raft', 'record', 'wire', 'log', 'level', 'transport', 'machine', 'node', 'kv', 'client'],
  offline: [
    'base',
    'raft/types.ts',
    'record',
    'log',
    'level',
    'machine',
    'kv',
    'transport/founding.ts',
    'client/real-env.ts',
    'server/promised.ts',
    'server/backup-format.ts'
  ],
  sim: [
    'base',
    'raft',
    'record',
    'wire',
    'log',
    'transport',
    'machine',
    'node',
    'kv',
    'client',
    'server/life.ts',
    'server/disk.ts',
    'server/client-port.ts'
  ]
}

const pureRooms = new Set(['base', 'raft', 'machine'])
const simulatedRooms = new Set([
  'base',
  'raft',
  'machine',
  'record',
  'node',
  'kv',
  'sim',
  'log',
  'transport',
  'wire',
  'client'
])
/** The only doors to real time and chance, and to the event loop. */
const realDoors = new Set(['client/real-env.ts', 'sim/world/settled.ts'])
/** Rooms whose callers wait with promises. */
const promiseRooms = new Set(['client', 'level', 'server', 'offline', 'sim'])
const onlyFileThatImports: Record<string, string> = { ws: 'transport/ws-net.ts', msgpackr: 'record/pack.ts' }
const namesThatTellNothing = /(^|\/)(utils?|helpers?|common|misc|manager|shared|index)\.ts$/
/** The formatter holds code to 120; texts and patterns that cannot be wrapped may be longer. */
const lineLengthMax = 160
const fileLinesMax = 450

interface Source {
  readonly path: string
  readonly room: string
  readonly text: string
  readonly imports: readonly string[]
}

function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.ts'))
    .map(entry => relative(root, join(entry.parentPath, entry.name)))
    .sort()
}

function read(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8')
  const imports = [...text.matchAll(/(?:^|\n)\s*(?:import|export)\s(?:[^'";]*?\sfrom\s)?'([^']+)'/g)].map(
    match => match[1]!
  )
  const lazy = [...text.matchAll(/\bimport\('([^']+)'\)/g)].map(match => match[1]!)
  return { path, room: path.split('/')[1]!, text, imports: [...imports, ...lazy] }
}

const sources = filesUnder('lib')
  .filter(path => path !== 'lib/index.ts')
  .map(read)

const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '')

t.test('imports point down the table of rooms', async t => {
  for (const { path, room, imports } of sources) {
    const allowed = table[room]
    t.ok(allowed, `${path}: the room ${room} has a place in the table`)
    for (const target of imports.filter(name => name.startsWith('.'))) {
      const found = relative('lib', normalize(join(dirname(path), target)))
      const ok = found.startsWith(`${room}/`) || allowed?.some(to => found === to || found.startsWith(`${to}/`))
      if (!ok) t.fail(`${path} imports ${found}`)
    }
  }
})

t.test('there are no cycles between files', async t => {
  const edges = new Map<string, string[]>()
  for (const { path, imports } of sources) {
    edges.set(
      path,
      imports.filter(name => name.startsWith('.')).map(name => normalize(join(dirname(path), name)))
    )
  }
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) t.fail(`a cycle: ${[...trail.slice(trail.indexOf(path)), path].join(' -> ')}`)
    if (done.has(path) || trail.includes(path)) return
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of edges.keys()) visit(path, [])
  t.ok(done.size > 0)
})

t.test('pure rooms know no clock, chance, promise or Node', async t => {
  for (const { path, room, text, imports } of sources) {
    const code = withoutComments(text)
    if (pureRooms.has(room)) {
      const packages = imports.filter(name => !name.startsWith('.'))
      if (packages.length > 0) t.fail(`${path} imports ${packages.join(', ')}`)
      if (/\basync\b|\bPromise\b|\bawait\b/.test(code)) t.fail(`${path} is asynchronous`)
    }
    if (simulatedRooms.has(room) && !realDoors.has(path.slice(4))) {
      const door =
        /\bDate\b|Math\.random|performance\.now|\bset(Timeout|Interval|Immediate)\(|process\.(hrtime|nextTick)|randomBytes\(|randomUUID/
      const found = door.exec(code)
      if (found) t.fail(`${path} goes past Env: ${found[0]}`)
    }
    if (!promiseRooms.has(room) && /\bnew Promise\b|\basync\b/.test(code))
      t.fail(`${path} makes promises below client/`)
  }
  t.ok(sources.length > 0)
})

t.test('a package that has one door is imported there only', async t => {
  for (const { path, imports } of sources) {
    for (const [name, door] of Object.entries(onlyFileThatImports)) {
      if (imports.includes(name) && path !== `lib/${door}`) t.fail(`${path} imports ${name}, which only ${door} may`)
    }
  }
  t.ok(sources.length > 0)
})

t.test('every file says in its first line what it is for, and stays readable', async t => {
  const all = [...filesUnder('lib'), ...filesUnder('bin'), ...filesUnder('bench'), ...filesUnder('test')].map(read)
  for (const { path, text } of all) {
    const lines = text.split('\n')
    const first = lines[0]!.startsWith('#!') ? lines[1]! : lines[0]!
    if (!/^\/\/ .{20,}/.test(first)) t.fail(`${path}: its first line does not say what it is for`)
    const long = lines.findIndex(line => line.length > lineLengthMax)
    if (long >= 0) t.fail(`${path}:${long + 1} is longer than ${lineLengthMax} characters`)
    if (lines.length > fileLinesMax && path.startsWith('lib/')) t.fail(`${path} has ${lines.length} lines`)
    if (namesThatTellNothing.test(path) && path !== 'lib/index.ts') t.fail(`${path} has a name that fits everything`)
    if (/@ts-(ignore|nocheck|expect-error)|\bas any\b|: any\b/.test(text) && !path.startsWith('test/check/')) {
      t.fail(`${path} weakens the type check`)
    }
    if (/\bTODO\b|\bFIXME\b|\bXXX\b/.test(text) && !path.startsWith('test/check/'))
      t.fail(`${path} leaves something over`)
  }
  t.ok(all.length > 0)
})
