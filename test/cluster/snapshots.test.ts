// Real processes whose logs are cut: who was away for too long is brought a snapshot, under load, and serves the same.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t } from 'tap'
import { RealCluster } from '../help/real-cluster.ts'

const logMax = ['--log-max', '1MiB']
const value = 'x'.repeat(4096)

t.test('a follower that was away while the log was cut is level again, by a snapshot', async t => {
  const cluster = await RealCluster.start(t, { args: logMax })
  const client = cluster.client()
  const [away] = (await cluster.followers()) as [string]
  await client.put('before', 'kept')
  await cluster.node(away).kill()
  const writes = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at += 50) {
      await Promise.all(
        Array.from({ length: 50 }, (_, offset) => client.put(`key ${(at + offset) % 700}`, `${at + offset} ${value}`))
      )
    }
  }
  // Until the log of the others begins after what the one that is away has.
  const { id: leader } = await cluster.leader()
  const { lastIndex } = await cluster.status(leader)
  let written = 0
  do await writes(written, (written += 500))
  while ((await cluster.status(leader)).firstIndex <= lastIndex + 1)
  const under = writes(written, written + 500)
  const node = cluster.start(away, { args: logMax })
  await node.line(({ event }) => event === 'snapshot')
  await node.ready()
  await under
  const alone = cluster.clientOf(away)
  t.equal((await alone.get('before'))?.value, 'kept')
  t.equal(await alone.count({ prefix: 'key ' }), 700)
  const [here, there] = [await cluster.clientOf(leader).getMany(many), await alone.getMany(many)]
  t.same(there, here, 'it holds what its leader holds')
  const status = await cluster.status(away)
  t.ok(status.firstIndex > 1 && status.trusted)
  t.ok(status.logBytes <= 4 * 1_048_576, `a log of ${status.logBytes} bytes`)
  t.equal(cluster.elections, 1, 'no election for it')
})

const many = Array.from({ length: 700 }, (_, at) => `key ${at}`)

t.test('the bound of the log may be changed while a node runs', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'stretto-options-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const config = join(folder, 'options.yaml')
  writeFileSync(config, 'log-max: 1GiB\n')
  const cluster = await RealCluster.start(t, { size: 1, args: ['--config', config] })
  writeFileSync(config, 'log-max: 2MiB\n')
  const node = cluster.node('n1')
  node.signal('SIGHUP')
  const line = await node.line(({ event }) => event === 'options')
  t.match(line, { logBytesMax: 2_097_152 })
  writeFileSync(config, 'log-max: 2KiB\n')
  node.signal('SIGHUP')
  const refused = await node.line(
    ({ event, level }) => event === 'options' && level === 'error',
    node.lines.indexOf(line) + 1
  )
  t.match(refused.msg, /stay as they were: --log-max '2KiB' is too little/)
})
