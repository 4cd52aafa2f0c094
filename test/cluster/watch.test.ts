// Watches and mirrors of real nodes, through the deaths of their leader: every change once, in order, and none lost.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { t } from 'tap'
import { launcherFile } from '../../bin/launcher.ts'
import { RealCluster } from '../help/real-cluster.ts'

const rounds = 2
const writesOfRound = 300

t.setTimeout(90_000)

interface Line {
  readonly revision: number
  readonly type: string
  readonly key: string
  readonly value?: string
}

t.test('the leader dies while two clients and a command watch', async t => {
  const cluster = await RealCluster.start(t)
  const db = cluster.client()
  const other = cluster.client()
  const first = await db.put('before', 'x')
  const watch = other.watch({ prefix: 'w/', fromRevision: first.revision, previous: true })
  const mirror = await other.mirror({ prefix: 'w/' })
  const child = spawn(
    process.execPath,
    [launcherFile, 'watch', 'w/', '--prefix', '--from-revision', '1', '-o', 'json'],
    { env: { ...process.env, NO_COLOR: '1', STRETTO_ENDPOINTS: cluster.endpoints.join() } }
  )
  const lines: Line[] = []
  createInterface({ input: child.stdout }).on('line', text => lines.push(JSON.parse(text) as Line))

  const written = new Map<string, string>()
  let last = 0
  for (let round = 0; round < rounds; round++) {
    const { id, term } = await cluster.leader()
    for (let at = 0; at < writesOfRound; at++) {
      if (at === writesOfRound / 2) await cluster.node(id).kill()
      const key = `w/${at % 20}`
      if (at % 7 === 6) {
        last = (await db.delete(key)).revision
        written.delete(key)
      } else {
        last = (await db.put(key, `${round}.${at}`)).revision
        written.set(key, `${round}.${at}`)
      }
    }
    await cluster.leader(term)
    await cluster.start(id).ready()
  }

  const heard: Line[] = []
  const state = new Map<string, string>()
  for await (const { revision, changes } of watch) {
    for (const change of changes) {
      const { key } = change.entry
      t.equal(change.previous?.value, state.get(key), `what was there before revision ${revision}`)
      if (change.type === 'put') state.set(key, change.entry.value)
      else state.delete(key)
      heard.push({ revision, type: change.type, key, ...(change.type === 'put' && { value: change.entry.value }) })
    }
    if (revision >= last) break
  }
  const revisions = heard.map(({ revision }) => revision)
  t.strictSame(
    revisions,
    [...new Set(revisions)].toSorted((a, b) => a - b),
    'rising, and each once'
  )
  t.equal(revisions.length, last - first.revision, 'every revision since')
  t.strictSame(state, written, 'together they are what was written')

  while (mirror.revision < last) await new Promise<void>(resolve => mirror.on('change', () => resolve()))
  t.strictSame(new Map(Array.from(mirror, ({ key, value }) => [key, value])), written, 'so is the mirror')
  while ((lines.at(-1)?.revision ?? 0) < last) await once(child.stdout, 'data')
  const printed = lines.map(({ revision, type, key, value }) => ({
    revision,
    type,
    key,
    ...(value !== undefined && { value })
  }))
  t.strictSame(printed, heard, 'what the command has printed')
  child.kill('SIGINT')
  t.strictSame(await once(child, 'close'), [130, null])
})
