// Records that ask to be executed in order: no command overtakes an earlier one of its session, however they arrive.
import fc from 'fast-check'
import { t } from 'tap'
import type { Answer } from '../../lib/machine/answer.ts'
import { inOrderFlag, recordAt } from '../../lib/record/record.ts'
import { type CommandRecord, commandDraft, MachineLog, Replica, resolveDraft, sessionOf } from '../help/machine-log.ts'

const runs = Number(process.env['FC_RUNS'] ?? 300)
const session = sessionOf(0, 1)

function ordered(record: Omit<CommandRecord, 'session'>): Uint8Array {
  const draft = commandDraft({ session, ...record })
  draft[recordAt.flags] = inOrderFlag
  return draft
}

function serialsOf(replica: Replica): number[] {
  return replica.tally.order.map(name => Number(name.split(':')[1]))
}

t.test('a record that comes before an earlier one is refused as not applied, and executed in its turn', async t => {
  const log = new MachineLog()
  const replica = new Replica()
  const [late] = replica.apply(log.cut(1, ordered({ serial: 3, commands: ['plain'] })))
  t.match(late?.refused, { code: 'UNAVAILABLE', fate: 'not-applied' })
  const block = log.cut(
    2,
    ordered({ serial: 1, commands: ['plain', 'refuse'] }),
    ordered({ serial: 4, commands: ['plain'] }),
    ordered({ serial: 3, commands: ['say:3'] }),
    ordered({ serial: 4, commands: ['plain'] })
  )
  t.same(
    replica.apply(block).map(answer => answer.refused?.code ?? null),
    [null, 'UNAVAILABLE', null, null]
  )
  t.same(serialsOf(replica), [1, 3, 4])
})

t.test('what the client has let go of, or was taken back, is not waited for', async t => {
  const log = new MachineLog()
  const replica = new Replica()
  replica.apply(log.cut(1, ordered({ serial: 6, floor: 5, commands: ['plain'] })))
  replica.apply(log.cut(2, resolveDraft(session, [7])))
  replica.apply(log.cut(3, ordered({ serial: 8, floor: 5, commands: ['plain'] })))
  replica.apply(log.cut(4, ordered({ serial: 11, floor: 10, commands: ['plain'] })))
  t.same(serialsOf(replica), [6, 8, 11])
})

t.test('an earlier command that comes again is answered as it was', async t => {
  const log = new MachineLog()
  const replica = new Replica()
  const draft = ordered({ serial: 1, commands: ['say:2'] })
  const [first] = replica.apply(log.cut(1, draft))
  replica.apply(log.cut(2, ordered({ serial: 2, commands: ['plain'] })))
  const [again] = replica.apply(log.cut(3, draft))
  t.same(again?.each, first?.each)
  t.same(serialsOf(replica), [1, 2])
})

const record = fc.record({
  kind: fc.constantFrom('command', 'command', 'command', 'command', 'resolve'),
  serial: fc.integer({ min: 1, max: 14 }),
  floor: fc.constantFrom(0, 0, 0, 1, 3, 6),
  commands: fc.array(fc.constantFrom('plain', 'plain', 'say:3', 'refuse'), { minLength: 1, maxLength: 3 }),
  restart: fc.constantFrom(false, false, false, true),
  flush: fc.boolean()
})

t.test('in any order of arrival, batched in any way, over restarts: rising serials, and the same answers', async t => {
  const property = fc.property(fc.array(record, { minLength: 1, maxLength: 30 }), fc.nat(5), (records, size) => {
    const log = new MachineLog()
    const alone = new Replica()
    const batched = new Replica()
    const answers: Answer[] = []
    const blocks = records.map(({ kind, serial, floor, commands }, at) => {
      const lower = Math.min(floor, serial - 1)
      if (kind === 'resolve') return log.cut(at, resolveDraft(session, [serial], lower))
      return log.cut(at, ordered({ serial, floor: lower, commands }))
    })
    for (const [at, block] of blocks.entries()) {
      answers.push(...alone.apply(block))
      if (records[at]!.flush) alone.flush()
      if (!records[at]!.restart) continue
      alone.restart()
      alone.apply(...blocks.slice(0, at + 1))
    }
    const together: Answer[] = []
    for (let at = 0; at < blocks.length; at += size + 1) {
      together.push(...batched.apply(...blocks.slice(at, at + size + 1)))
    }
    const serials = serialsOf(alone)
    const rising = serials.every((serial, at) => at === 0 || serial > serials[at - 1]!)
    return rising && serials.join() === serialsOf(batched).join() && same(answers, together)
  })
  fc.assert(property, { numRuns: runs })
  t.pass(`${runs} logs`)
})

function same(one: readonly Answer[], other: readonly Answer[]): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
