// Reads that wait: one ticket for all of a turn, then the state, then their own condition; each answered once.
import fc from 'fast-check'
import { t } from 'tap'
import { StrettoError } from '../../lib/base/errors.ts'
import { Reads, type WaitingRead } from '../../lib/node/reads.ts'

const runs = Number(process.env['FC_RUNS'] ?? 300)

interface Asked extends WaitingRead {
  readonly ends: (Error | null)[]
}

function read(options: Partial<Omit<WaitingRead, 'done'>> = {}): Asked {
  const ends: (Error | null)[] = []
  return { deadline: 100, leastIndex: 0, enough: null, bytes: 10, ...options, ends, done: error => ends.push(error) }
}

t.test('the reads of a turn share a ticket, and are served once its index is applied', async t => {
  const reads = new Reads()
  t.equal(reads.ticket(), null, 'nobody asks')
  const [first, second] = [read(), read()]
  reads.ask(first)
  reads.ask(second)
  const ticket = reads.ticket()!
  t.equal(reads.ticket(), null, 'one ticket for both')
  const third = read()
  reads.ask(third)
  const later = reads.ticket()!
  t.not(later, ticket)
  reads.release(1_000)
  t.same([first.ends, third.ends], [[], []], 'no index is known yet')
  reads.granted(ticket, 7)
  reads.release(6)
  t.same(first.ends, [])
  reads.release(7)
  t.same([first.ends, second.ends, third.ends], [[null], [null], []])
  reads.granted(ticket, 7)
  reads.granted(later, 9)
  reads.release(9)
  t.same([first.ends, third.ends, reads.count], [[null], [null], 0], 'once each')
})

t.test('a least index and a condition of its own hold a read back', async t => {
  const reads = new Reads()
  let revision = 4
  const [far, picky] = [read({ leastIndex: 12 }), read({ enough: () => revision >= 5 })]
  reads.ask(far)
  reads.ask(picky)
  reads.granted(reads.ticket()!, 10)
  reads.release(10)
  t.same([far.ends, picky.ends], [[], []])
  revision = 5
  reads.release(11)
  t.same([far.ends, picky.ends], [[], [null]])
  reads.release(12)
  t.same([far.ends, reads.count], [[null], 0])
})

t.test('a local read waits for nothing but the state', async t => {
  const reads = new Reads()
  const [present, future] = [read(), read({ leastIndex: 3 })]
  reads.await(present)
  reads.await(future)
  t.equal(reads.ticket(), null)
  reads.release(2)
  t.same([present.ends, future.ends], [[null], []])
  reads.release(3)
  t.same([future.ends, reads.count], [[null], 0])
})

t.test('a ticket that no leader could answer is asked for again, with those that came meanwhile', async t => {
  const reads = new Reads()
  const [first, second] = [read(), read()]
  reads.ask(first)
  const refused = reads.ticket()!
  reads.ask(second)
  reads.again(refused)
  const next = reads.ticket()!
  reads.granted(refused, 1)
  reads.again(refused)
  reads.release(5)
  t.same(first.ends, [], 'the refused ticket is worth nothing any more')
  reads.granted(next, 5)
  reads.release(5)
  t.same([first.ends, second.ends, reads.count], [[null], [null], 0])
})

t.test('a read that asks from within an answer is served in a later turn', async t => {
  const reads = new Reads()
  const second = read()
  reads.await({ ...read(), done: () => reads.await(second) })
  reads.release(1)
  t.same([second.ends, reads.count], [[], 1])
  reads.release(1)
  t.same([second.ends, reads.count], [[null], 0])
})

t.test('whatever happens in whatever order, each read ends once: served, late, or refused at the end', async t => {
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom('ask' as const, 'await' as const), deadline: fc.nat(30), least: fc.nat(20) }),
    fc.record({ kind: fc.constantFrom('granted' as const, 'again' as const), ticket: fc.nat(8), index: fc.nat(20) }),
    fc.record({ kind: fc.constant('ticket' as const) }),
    fc.record({ kind: fc.constant('release' as const), index: fc.nat(20) }),
    fc.record({ kind: fc.constant('expire' as const), now: fc.nat(30) })
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const reads = new Reads()
      const all: Asked[] = []
      const open = (): number => all.filter(({ ends }) => ends.length === 0).length
      for (const step of steps) {
        if (step.kind === 'expire') {
          const late = all.filter(({ ends, deadline }) => ends.length === 0 && deadline <= step.now)
          if (reads.expire(step.now) !== late.length) return false
          if (late.some(({ ends }) => (ends[0] as StrettoError | null)?.code !== 'TIMED_OUT')) return false
        } else if (step.kind === 'ask' || step.kind === 'await') {
          const next = read({ deadline: step.deadline, leastIndex: step.least })
          all.push(next)
          reads[step.kind](next)
        } else if (step.kind === 'granted') reads.granted(step.ticket, step.index)
        else if (step.kind === 'again') reads.again(step.ticket)
        else if (step.kind === 'ticket') reads.ticket()
        else if (step.kind === 'release') reads.release(step.index)
        if (reads.count !== open()) return false
      }
      reads.refuseAll(new StrettoError('STOPPED', 'over'))
      return reads.count === 0 && all.every(({ ends }) => ends.length === 1)
    }),
    { numRuns: runs }
  )
  t.pass('for every run')
})
