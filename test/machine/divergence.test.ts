// The running hash of the state: equal on sound replicas whatever they do, different once a state is; and who is wrong then.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { t } from 'tap'
import { writeU16, writeU32 } from '../../lib/base/bytes.ts'
import type { Answer } from '../../lib/machine/answer.ts'
import { draftHash, type HashRecord, judge, readHash, type Vote } from '../../lib/machine/divergence.ts'
import { draftSetting } from '../../lib/machine/order.ts'
import { decodeSidecar, encodeSidecar } from '../../lib/machine/sidecar.ts'
import { freshHash, hashOfAnswer, mix, StateHash, unknownHash } from '../../lib/machine/state-hash.ts'
import { draftRecord, recordKind } from '../../lib/record/record.ts'
import {
  commandDraft,
  expiryDraft,
  MachineLog,
  noopDraft,
  Replica,
  resolveDraft,
  sessionOf
} from '../help/machine-log.ts'

const runs = Number(process.env['FC_RUNS'] ?? 60)
const s = sessionOf(1000, 1)
const [a, b, c] = ['n1.0000000000000001', 'n2.0000000000000002', 'n3.0000000000000003']

function hashDraft(record: Partial<HashRecord> = {}): Uint8Array {
  return draftHash({ begins: false, voters: 3, of: 0, votes: [], ...record })
}

function plain(serial: number, commands: readonly string[] = ['plain']): Uint8Array {
  return commandDraft({ session: s, serial, commands })
}

/** A replica and a log that ends with a hash record; and what the votes on it may say. */
class Bench {
  readonly log = new MachineLog()
  readonly replica = new Replica()

  constructor() {
    this.apply(plain(1), plain(2), hashDraft())
  }

  get hash(): StateHash {
    return this.replica.machine.hash
  }

  apply(...drafts: readonly Uint8Array[]): void {
    this.replica.apply(this.log.cut(1000, ...drafts))
  }

  /** A hash record with these votes, a number for an own value and null for that of the replica. */
  vote(values: readonly (number | null)[], record: Partial<HashRecord> = {}): void {
    const { markIndex: of, markValue } = this.hash
    const votes = values.map((value, at): Vote => ({ from: [a, b, c][at]!, value: value ?? markValue! }))
    this.apply(hashDraft({ of, votes, ...record }))
  }
}

t.test('what a record says is read as it was written, and any other form is nothing', async t => {
  const plainly = { noNullPrototype: true }
  const vote = fc.record({ from: fc.constantFrom(a, b, c, ''), value: fc.nat({ max: 0xffff_ffff }) }, plainly)
  const votes = fc.array(vote, { maxLength: 9 })
  const voters = fc.nat({ max: 0xffff })
  const record = fc.record({ begins: fc.boolean(), voters, of: fc.maxSafeNat(), votes }, plainly)
  fc.assert(
    fc.property(record, fc.nat({ max: 20 }), (said, before) => {
      const draft = draftHash(said)
      const bytes = new Uint8Array(before + draft.length + 3)
      bytes.set(draft, before)
      assert.deepEqual(readHash(bytes, before, draft.length), said)
      for (let length = 0; length < draft.length; length++) {
        if (readHash(draft, 0, length) !== null) throw new Error(`cut to ${length} bytes`)
      }
      if (readHash(bytes, before, draft.length + 1) !== null) throw new Error('a byte more')
    }),
    { numRuns: runs }
  )
  const later = hashDraft()
  writeU16(later, 32, 2)
  t.equal(readHash(later, 0, later.length), null, 'another format')
  const inexact = hashDraft()
  writeU32(inexact, 40, 0x20_0000)
  t.equal(readHash(inexact, 0, inexact.length), null, 'an inexact index')
})

t.test('the majority of all voters decides, not of those that have voted', async t => {
  const judged = (voters: number, values: readonly number[]) => {
    const votes = values.map((value, at) => ({ from: `n${at + 1}`, value }))
    const { majority, differing } = judge({ begins: false, voters, of: 9, votes })
    return [majority, ...differing]
  }
  t.same(judged(3, [1, 1, 1]), [1])
  t.same(judged(3, [1, 1, 2]), [1, 'n3'])
  t.same(judged(3, [2, 1, 1]), [1, 'n1'], 'the leader may be the one')
  t.same(judged(3, [1, 2]), [null, 'n1', 'n2'], 'one of three has said nothing')
  t.same(judged(3, [1, 1]), [1])
  t.same(judged(3, [1]), [null])
  t.same(judged(2, [1, 2]), [null, 'n1', 'n2'])
  t.same(judged(5, [1, 1, 2]), [null, 'n1', 'n2', 'n3'])
  t.same(judged(5, [3, 2, 1, 1, 1]), [1, 'n1', 'n2'])
  t.same(judged(4, [1, 1, 2, 2]), [null, 'n1', 'n2', 'n3', 'n4'])
  t.same(judged(0, []), [null])
})

t.test('no minority ever makes a majority stop', async () => {
  const votes = fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 7 })
  fc.assert(
    fc.property(votes, fc.nat({ max: 4 }), (values, silent) => {
      const voters = values.length + silent
      const said = values.map((value, at) => ({ from: `n${at}`, value }))
      const { majority, differing } = judge({ begins: false, voters, of: 1, votes: said })
      return majority === null || 2 * differing.length < voters
    }),
    { numRuns: runs * 10 }
  )
})

t.test('a replica whose value is not that of the majority has diverged, for good', async t => {
  const bench = new Bench()
  bench.vote([null, null, 7])
  t.equal(bench.replica.machine.diverged, null)
  t.match(bench.hash.comparison, { index: 3, majority: Number, differing: [c] })
  bench.vote([7, null])
  t.equal(bench.replica.machine.diverged, null, 'nobody can tell')
  t.match(bench.hash.comparison, { index: 4, majority: null, differing: [a, b] })
  const at = bench.hash.markIndex
  bench.vote([7, 7, null])
  t.same(bench.replica.machine.diverged, { index: at })
  bench.vote([null, null, null])
  t.same(bench.replica.machine.diverged, { index: at })
  bench.replica.flush()
  bench.replica.restart()
  t.same(bench.replica.machine.diverged, { index: at }, 'also after a restart')
})

t.test('votes about another record than the last are passed over', async t => {
  const bench = new Bench()
  bench.vote([7, 7, 7], { of: 2 })
  t.equal(bench.replica.machine.diverged, null)
  t.equal(bench.hash.comparison, null)
  bench.vote([], {})
  t.equal(bench.hash.comparison, null, 'a record without votes shows nothing')
})

t.test('a replica that does not know its value is not judged, until all begin anew', async t => {
  const bench = new Bench()
  bench.replica.flush()
  const old = new Replica()
  const sidecar = decodeSidecar(bench.replica.machine.sidecar())!
  const inner = { ...sidecar, hash: unknownHash }
  t.same(decodeSidecar(encodeSidecar(inner))!.hash, unknownHash)
  old.machine.hash.restore(unknownHash)
  const both = (...drafts: readonly Uint8Array[]): void => {
    const block = old.machine.applied.index === 0 ? bench.log.blocks : []
    if (block.length > 0) old.apply(...block)
    const next = bench.log.cut(1000, ...drafts)
    bench.replica.apply(next)
    old.apply(next)
  }
  both(plain(3), hashDraft({ of: 3, votes: [a, b].map(from => ({ from, value: 7 })) }))
  t.equal(old.machine.hash.markValue, null)
  t.equal(old.machine.diverged, null, 'it knows nothing to compare')
  t.same(bench.replica.machine.diverged, { index: 3 }, 'who knows is judged')
  both(plain(4), hashDraft({ begins: true }), plain(5))
  t.equal(old.machine.hash.markValue, null, 'before the record it still did not know')
  both(hashDraft())
  t.type(old.machine.hash.markValue, 'number')
  t.equal(old.machine.hash.markValue, bench.hash.markValue, 'both have begun anew')
  both(draftRecord(recordKind.hash, new Uint8Array(40)), plain(6), hashDraft())
  t.equal(old.machine.hash.markValue, null, 'a form that this program does not know may have meant anything')
})

t.test('equal on all replicas, whatever shares a call and whenever they flush and start again', async () => {
  const draft = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.integer({ min: 1, max: 40 }), fc.nat({ max: 2 }), fc.nat({ max: 3 })) },
    { weight: 2, arbitrary: fc.constantFrom('noop', 'expiry', 'setting', 'hash', 'begins', 'resolve') }
  )
  const texts = [['plain'], ['plain', 'say:3', 'refuse'], ['say:900', 'say:5000'], ['nonsense', 'plain']]
  const make = (what: string | readonly [number, number, number]): Uint8Array => {
    if (typeof what !== 'string') {
      const [serial, name, kind] = what
      return commandDraft({ session: sessionOf(1000, name), serial, commands: texts[kind]! })
    }
    if (what === 'noop') return noopDraft()
    if (what === 'expiry') return expiryDraft()
    if (what === 'setting') return draftSetting('x', new Uint8Array([1]))
    if (what === 'resolve') return resolveDraft(s, [1, 5, 9])
    return hashDraft({ begins: what === 'begins' })
  }
  const blocks = fc.array(fc.array(draft, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(blocks, fc.array(fc.nat({ max: 3 }), { minLength: 12, maxLength: 12 }), (cuts, chances) => {
      const log = new MachineLog()
      for (const [at, drafts] of cuts.entries()) log.cut(1000 + at, ...drafts.map(make))
      const whole = new Replica()
      whole.apply(...log.blocks)
      const other = new Replica()
      for (const [at, block] of log.blocks.entries()) {
        other.apply(block)
        if (chances[at]! >= 2) other.flush()
        if (chances[at] === 3 || chances[at] === 1) {
          other.restart()
          other.apply(...log.above(other.machine.applied.index))
        }
      }
      assert.deepEqual(other.machine.hash.store(), whole.machine.hash.store())
      assert.deepEqual(other.machine.sidecar(), whole.machine.sidecar())
    }),
    { numRuns: runs }
  )
})

t.test('another status, revision or answer is another value, and so is one that is missing', async t => {
  const each = [
    { status: 0, revision: 5, answer: null },
    { status: 2, revision: 5, answer: new Uint8Array(5000).fill(1) }
  ]
  const answer: Answer = { index: 9, term: 1, serial: 3, count: 2, revision: 5, each, refused: null }
  const changed = (at: number, byte: number): Answer => {
    const bytes = new Uint8Array(5000).fill(1)
    bytes[at] = byte
    return { ...answer, each: [each[0]!, { ...each[1]!, answer: bytes }] }
  }
  const refused = { code: 'BAD_REQUEST', fate: 'not-applied', text: '' } as const
  const others: readonly Answer[] = [
    { ...answer, index: 10 },
    { ...answer, serial: 4 },
    { ...answer, count: 3 },
    { ...answer, revision: 6 },
    { ...answer, each: null },
    { ...answer, each: null, refused },
    { ...answer, each: null, refused: { ...refused, code: 'UNAVAILABLE' } },
    { ...answer, each: [each[1]!, each[0]!] },
    { ...answer, each: [{ ...each[0]!, status: 1 }, each[1]!] },
    { ...answer, each: [{ ...each[0]!, revision: 6 }, each[1]!] },
    { ...answer, each: [{ ...each[0]!, answer: new Uint8Array(0) }, each[1]!] },
    { ...answer, each: [each[0]!, { ...each[1]!, gone: true }] },
    changed(0, 0),
    changed(511, 0),
    changed(4999, 0)
  ]
  t.equal(new Set([answer, ...others].map(hashOfAnswer)).size, others.length + 1)
  t.equal(hashOfAnswer(changed(2500, 0)), hashOfAnswer(answer), 'the middle of a long answer is not looked at')
  let flipped = 0
  for (let bit = 0; bit < 32; bit++) {
    let difference = mix(mix(7, 1 << bit), 9) ^ mix(mix(7, 0), 9)
    for (; difference !== 0; difference &= difference - 1) flipped++
  }
  t.ok(flipped > 32 * 8 && flipped < 32 * 24, `a bit changes ${flipped / 32} bits of 32`)
})

t.test('once replicas differ, so do all values that follow', async t => {
  const [one, two] = [new Bench(), new Bench()]
  const outcome = one.hash.markValue
  t.equal(two.hash.markValue, outcome)
  two.hash.add(1)
  for (let serial = 3; serial < 30; serial++) {
    for (const bench of [one, two]) bench.apply(plain(serial), hashDraft())
    t.not(one.hash.markValue, two.hash.markValue)
  }
  t.same(freshHash, new StateHash().store(), 'and a state in which nothing was executed has one value')
})
