// Two replicas with leases that batch, flush and start again at other times: the same answers, the same state (H2, H8).
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { t } from 'tap'
import { toHex } from '../../../lib/base/bytes.ts'
import { leaseIdAt } from '../../../lib/kv/leases/staged-leases.ts'
import type { Batch, Outcomes } from '../../../lib/machine/machine.ts'
import { type Command, packCommand } from '../../../lib/wire/kv/commands.ts'
import { Bed, bytes, Records, temporaryFolder } from '../bed.ts'

const runs = Number(process.env['FC_RUNS'] ?? 40)

const key = fc.constantFrom('a', 'b', 'c', 'd').map(bytes)
const small = { ifRevision: null, previous: false } as const
/** Made for a lease that may be there. */
const command: fc.Arbitrary<(leaseId: number) => Command> = fc.oneof(
  fc.record({ key, ttlMs: fc.integer({ min: 1_000, max: 1_500 }), large: fc.boolean() }).map(
    ({ key, ttlMs, large }) =>
      (): Command => ({ op: 'put', key, value: bytes(large ? 'x'.repeat(5_000) : 'x'), ttlMs, ...small })
  ),
  key.map(
    key =>
      (leaseId: number): Command => ({ op: 'put', key, value: bytes('1'), leaseId, ...small })
  ),
  key.map(key => (): Command => ({ op: 'append', key, value: bytes('2') })),
  key.map(key => (): Command => ({ op: 'delete', key, ...small })),
  fc.constant((): Command => ({ op: 'grant', ttlMs: 1_200 })),
  fc.constant((leaseId: number): Command => ({ op: 'renew', leaseIds: [leaseId] })),
  fc.constant((leaseId: number): Command => ({ op: 'revoke', leaseId }))
)
const record = fc.oneof(
  { weight: 4, arbitrary: fc.array(fc.tuple(command, fc.nat(9)), { minLength: 1, maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constant('expiry' as const) }
)
const step = fc.record({
  records: fc.array(record, { minLength: 1, maxLength: 5 }),
  ms: fc.nat(900),
  together: fc.boolean(),
  afterwards: fc.constantFrom('nothing' as const, 'flush' as const, 'restart' as const)
})

void t.test('replicas that batch, flush and start again at other times do the same', async t => {
  const property = fc.asyncProperty(fc.array(step, { maxLength: 12, size: 'max' }), async steps => {
    const folder = temporaryFolder()
    const log = new Records()
    const open = async (place: string): Promise<Bed> => {
      const bed = await new Bed(`${folder.path}/${place}`, { tableBytesMax: 500, cleanCacheBytesMax: 200 }).open()
      bed.machine.version(2)
      return bed
    }
    const one = await open('one')
    let other = await open('other')
    const granted: number[] = []
    let time = 1_000
    for (const { records, ms, together, afterwards } of steps) {
      const batches = records.flatMap((record): Batch[] => {
        time += ms
        const index = log.last.index + 1
        const pick = (at: number): number => granted[granted.length - 1 - (at % Math.max(1, granted.length))] ?? 1
        const commands = record === 'expiry' ? [] : record.map(([make, at]) => packCommand(make(pick(at))))
        for (const number of commands.keys()) granted.push(leaseIdAt(index, number))
        return log.cut([commands], { expiry: record === 'expiry' }).map(batch => ({ ...batch, time }))
      })
      const expected = await one.apply(...batches)
      const found: Outcomes[] = []
      if (together) found.push(...(await other.apply(...batches)))
      else for (const batch of batches) found.push(...(await other.apply(batch)))
      assert.deepEqual(found.map(shown), expected.map(shown))
      if (afterwards !== 'nothing') await other.flush(log.last)
      if (afterwards !== 'restart') continue
      await other.close()
      other = await open('other')
    }
    assert.deepEqual(await other.all({}), await one.all({}))
    const leases = { op: 'leases', afterId: 0, limit: 1_000 } as const
    assert.deepEqual(await other.ask(leases), await one.ask(leases))
    assert.equal(other.machine.dueAt, one.machine.dueAt)
    await Promise.all([one.close(), other.close()])
    folder.remove()
  })
  await fc.assert(property, { numRuns: runs })
  t.pass('for every run')
})

function shown({ revision, each, digest }: Outcomes): unknown {
  const outcomes = each?.map(outcome => outcome && { ...outcome, answer: outcome.answer && toHex(outcome.answer) })
  return { revision, digest, each: outcomes ?? null }
}
