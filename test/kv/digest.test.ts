// What the key-value machine adds to the running hash: equal wherever entries lie, another where one was lost or altered.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { t } from 'tap'
import { entryKey } from '../../lib/kv/rows.ts'
import { type Command } from '../../lib/wire/kv/commands.ts'
import { anyCommandArbitrary } from './any-command.ts'
import { Bed, del, increment, put, Records, temporaryFolder } from './bed.ts'

const runs = Number(process.env['FC_RUNS'] ?? 40)

/** Digests of the records, each applied alone; with `restless` each is flushed, and a new machine meets the next. */
async function digests(records: readonly (readonly Command[])[], restless: boolean): Promise<(number | undefined)[]> {
  const folder = temporaryFolder()
  const log = new Records()
  let bed = await new Bed(folder.path).open()
  const found: (number | undefined)[] = []
  for (const commands of records) {
    const [outcome] = await bed.apply(log.commands(commands))
    found.push(outcome!.digest)
    if (!restless) continue
    await bed.flush(log.last)
    await bed.close()
    bed = await new Bed(folder.path).open()
  }
  await bed.close()
  folder.remove()
  return found
}

void t.test('it does not matter whether an entry comes from memory or from disk', async () => {
  const record = fc.array(anyCommandArbitrary, { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 8 }), async records => {
      assert.deepEqual(await digests(records, true), await digests(records, false))
    }),
    { numRuns: runs }
  )
})

void t.test('each change of a record is seen in it', async t => {
  const variants: readonly (readonly Command[])[] = [
    [put('a', '1')],
    [put('a', '2')],
    [put('a', '11')],
    [put('b', '1')],
    [put('ab', '1')],
    [put('a', '')],
    [put('a', '1'), put('a', '1')],
    [put('a', '1'), del('a')],
    [put('a', '1'), del('a'), put('a', '1')],
    [increment('a', 3)],
    [del('a')]
  ]
  const found = await Promise.all(variants.map(async commands => (await digests([commands], false))[0]))
  t.equal(new Set(found).size, variants.length)
  t.equal(found.at(-1), 0, 'a record that changes nothing adds nothing')
})

void t.test('an entry that LevelDB has lost in silence is missed by the next write to its key', async t => {
  const after = async (damage: (bed: Bed) => Promise<void>, command: Command) => {
    const folder = temporaryFolder()
    const log = new Records()
    const first = await new Bed(folder.path).open()
    await first.apply(log.commands([put('a', '1'), put('a', '2'), put('b', '3')]))
    await first.flush(log.last)
    await damage(first)
    await first.close()
    const bed = await new Bed(folder.path).open()
    const [outcome] = await bed.apply(log.commands([command]))
    await bed.close()
    folder.remove()
    return outcome!.digest
  }
  const none = async (): Promise<void> => {}
  const lost = async (bed: Bed): Promise<void> => bed.level.del(entryKey('a'))
  t.not(await after(lost, put('a', '4')), await after(none, put('a', '4')))
  t.not(await after(lost, del('a')), await after(none, del('a')))
  t.equal(await after(lost, put('b', '4')), await after(none, put('b', '4')), 'what is not touched is not missed')
})
