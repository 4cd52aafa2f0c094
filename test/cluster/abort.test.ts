// A process that LevelDB ends by an assertion of its own, since a key in a table of the state is damaged.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { t } from 'tap'
import { filledDirectory, folderOf } from '../help/offline-home.ts'
import { connectOnly } from '../help/pinned.ts'
import { NodeProcess } from '../help/real-cluster.ts'

t.setTimeout(60_000)

/** Spoils the order of the keys in the oldest table, so that LevelDB cannot merge it with others. */
function spoilKey(state: string): void {
  const table = join(state, readdirSync(state).filter(name => name.endsWith('.ldb'))[0]!)
  const bytes = readFileSync(table)
  const first = bytes.indexOf('key/')
  const second = bytes.indexOf('key/', first + 1)
  bytes[second]! ^= 0x80
  writeFileSync(table, bytes)
}

t.test('the next start throws the damaged state away instead of ending in the same way', async t => {
  const directory = join(folderOf(t), 'n1')
  const { advertise } = await filledDirectory(directory, 4)
  const mark = join(directory, 'starting')
  t.notOk(existsSync(mark), 'lives that ended as they were told leave no mark')
  spoilKey(join(directory, 'state-1'))
  const args = ['--id', 'n1', '--data-dir', directory, '--cluster', `n1=${advertise}`, '--ballast', '0']

  const ended = await new NodeProcess(args).ended
  t.equal(ended.signal, 'SIGABRT')
  t.ok(existsSync(mark))
  const again = new NodeProcess(args)
  t.teardown(() => again.kill())
  const finding = await again.line(({ event }) => event === 'finding')
  t.match(finding.msg, /^the state is damaged, and made anew: state-1\/\d+\.ldb: 1 of \d+ blocks are damaged/)
  await again.ready()
  const client = connectOnly(advertise)
  t.teardown(() => client.close())
  let keys = 0
  for await (const { key, value } of client.range({ prefix: 'key/' })) {
    keys++
    if (!/^value \d x{200}$/.test(value)) t.fail(`${key} is ${value}`)
  }
  t.equal(keys, 300, 'the log brings all of it back')

  await again.kill()
  t.ok(existsSync(mark))
  const sound = new NodeProcess(args)
  await sound.ready()
  t.notOk(
    sound.lines.some(({ event }) => event === 'finding'),
    'a state that is in order is kept, whatever ended the process'
  )
  await sound.stop()
  t.notOk(existsSync(mark))
})
