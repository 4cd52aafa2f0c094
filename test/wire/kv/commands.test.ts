// The commands of the key-value machine on the wire: what goes in comes out, and what is none is refused.
import * as fc from 'fast-check'
import { t } from 'tap'
import { equalBytes } from '../../../lib/base/bytes.ts'
import { type Packed, pack } from '../../../lib/record/pack.ts'
import {
  type Command,
  type Compare,
  type Operation,
  packCommand,
  relations,
  targets,
  txnDepthMax,
  txnRangesMax,
  txnStepsMax
} from '../../../lib/wire/kv/commands.ts'
import { keyBytesMax, valueBytesMax } from '../../../lib/wire/kv/fields.ts'
import { readCommands } from '../../../lib/wire/kv/read-commands.ts'

const constant = <T extends string>(op: T) => fc.constant(op)
const bytes = fc.uint8Array({ maxLength: 12 })
const key = fc.uint8Array({ minLength: 1, maxLength: 12 })
const count = fc.nat(1_000_000)
const from1 = fc.integer({ min: 1, max: 1_000_000 })
const ttlMs = fc.integer({ min: 1000, max: 10_000_000 })
const fencing = fc.option(fc.record({ key, token: from1 }))
const bounds = fc
  .tuple(bytes, fc.option(bytes))
  .map(([a, b]) => (b !== null && Buffer.compare(a, b) > 0 ? { from: b, to: a } : { from: a, to: b }))
const put = fc.record({ op: constant('put'), key, value: bytes, ifRevision: fc.option(count), previous: fc.boolean() })
const del = fc.record({ op: constant('delete'), key, ifRevision: fc.option(count), previous: fc.boolean(), fencing })
const owned = fc.oneof(
  fc.record({ leaseId: count, ttlMs: fc.constant(0) }),
  fc.record({ leaseId: fc.constant(0), ttlMs })
)
const free: fc.Arbitrary<Command & Operation> = fc.oneof(
  fc.tuple(put, owned).map(([command, lease]) => ({ ...command, ...lease, ifRevision: null, fencing: null })),
  del.map(command => ({ ...command, ifRevision: null, fencing: null })),
  bounds.map(each => ({ op: 'deleteRange' as const, ...each })),
  fc.record({
    op: fc.constantFrom('increment' as const, 'min' as const, 'max' as const),
    key,
    by: fc.maxSafeInteger()
  }),
  fc.record({ op: constant('append'), key, value: bytes })
)
const numeric = fc.record({
  target: fc.constantFrom(...targets.filter(each => each !== 'value')),
  relation: fc.constantFrom(...relations),
  operand: count
})
const ofValue = fc.record({ target: constant('value'), relation: fc.constantFrom(...relations), operand: bytes })
const compare: fc.Arbitrary<Compare> = fc
  .tuple(
    fc.oneof(numeric, ofValue),
    fc.oneof(
      key.map(from => ({ from, to: undefined })),
      bounds
    )
  )
  .map(([what, where]) => ({ ...what, ...where }))
const operation = fc.letrec<{ operation: Operation; txn: Command & Operation }>(tie => ({
  operation: fc.oneof(
    { maxDepth: 3 },
    free,
    fc.record({ op: constant('get'), key }),
    fc
      .tuple(
        bounds,
        fc.record({ limit: count, reverse: fc.boolean(), keysOnly: fc.boolean(), countOnly: fc.boolean() })
      )
      .map(([each, rest]) => ({ op: 'range' as const, ...each, ...rest })),
    tie('txn')
  ),
  txn: fc.record({
    op: constant('txn'),
    compares: fc.array(compare, { maxLength: 3 }),
    onTrue: fc.array(tie('operation'), { maxLength: 3 }),
    onFalse: fc.array(tie('operation'), { maxLength: 3 })
  })
}))
const command: fc.Arbitrary<Command> = fc.oneof(
  free,
  operation.txn,
  fc.tuple(put, owned, fencing).map(([each, lease, fence]) => ({ ...each, ...lease, fencing: fence })),
  del,
  from1.map(revision => ({ op: 'compact' as const, revision })),
  ttlMs.map(ms => ({ op: 'grant' as const, ttlMs: ms })),
  fc.array(from1).map(leaseIds => ({ op: 'renew' as const, leaseIds })),
  from1.map(leaseId => ({ op: 'revoke' as const, leaseId }))
)

t.test('commands come back as they were', async t => {
  fc.assert(
    fc.property(fc.array(command, { minLength: 1, maxLength: 5 }), list => {
      const packed = pack(list.map(packCommand))
      const read = readCommands(packed, list.length)
      t.strictSame(
        read.map(({ op }) => op),
        list.map(({ op }) => op)
      )
      t.ok(equalBytes(pack(read.map(packCommand)), packed), 'all that was said has been understood')
    }),
    { numRuns: 300 }
  )
})

t.test('a record of machine version 1 may hold only what that version knows', async t => {
  const known: Packed[] = [
    [1, Uint8Array.of(1), Uint8Array.of(1)],
    [1, Uint8Array.of(1), Uint8Array.of(1), 3, 1],
    [2, Uint8Array.of(1), null, 1],
    [4, Uint8Array.of(1), 5]
  ]
  t.equal(readCommands(pack(known), known.length, 1).length, known.length)
  fc.assert(
    fc.property(command, each => {
      const first =
        each.op === 'increment' ||
        (each.op === 'delete' && (each.fencing ?? null) === null) ||
        (each.op === 'put' && !each.leaseId && !each.ttlMs && (each.fencing ?? null) === null)
      let code = ''
      try {
        readCommands(pack([packCommand(each)]), 1, 1)
      } catch (error) {
        code = (error as { code: string }).code
      }
      t.equal(code, first ? '' : 'UNAVAILABLE')
    }),
    { numRuns: 200 }
  )
})

const one = Uint8Array.of(1)
const two = Uint8Array.of(2)

t.test('commands that are none are refused, and say so', async t => {
  const wrong: Record<string, Packed> = {
    'a range that ends before it begins': [3, two, one],
    'a range without its end': [3, one],
    'a minimum that is text': [5, one, '7'],
    'an append of text': [7, one, 'x'],
    'a transaction without its second list': [8, [], []],
    'a transaction that is no list': [8, 7, [], []],
    'a comparison of nothing known': [8, [[6, 1, one, 0, 1]], [], []],
    'a relation of nothing known': [8, [[1, 5, one, 0, 1]], [], []],
    'a comparison of a number with bytes': [8, [[1, 1, one, 0, one]], [], []],
    'a comparison of a value with a number': [8, [[4, 1, one, 0, 1]], [], []],
    'an operation with a condition': [8, [], [[1, one, one, 3]], []],
    'an operation with fencing': [8, [], [[2, one, null, 0, two, 3]], []],
    'a compaction inside a transaction': [8, [], [[9, 3]], []],
    'a grant inside a transaction': [8, [], [[16, 5000]], []],
    'a read outside of a transaction': [32, one],
    'flags of a later version': [8, [], [[33, one, null, 0, 8]], []],
    'a lease and a ttl': [1, one, one, null, 0, 4, 5000],
    'a ttl below a second': [16, 999],
    'a ttl beyond all times': [16, 9_000_000_000_001],
    'a fencing token of nothing': [1, one, one, null, 0, 0, 0, two],
    'compaction at 0': [9, 0],
    'a lease that is none': [18, 0],
    'a renewal of text': [17, 4, 'x'],
    'a field too many': [3, one, two, 0]
  }
  for (const [name, fields] of Object.entries(wrong)) {
    t.throws(() => readCommands(pack([fields]), 1), { code: 'BAD_REQUEST', fate: 'not-applied' }, name)
  }
})

t.test('a transaction has a budget', async t => {
  let nested: Packed = [8, [], [], []]
  for (let depth = 1; depth < txnDepthMax; depth++) nested = [8, [], [nested], []]
  t.equal(readCommands(pack([nested]), 1).length, 1, 'as deep as allowed')
  t.throws(() => readCommands(pack([[8, [], [nested], []]]), 1), { code: 'BAD_REQUEST', message: /deep/ })
  const gets = (number: number): Packed => [8, [], Array.from({ length: number }, () => [32, one]), []]
  t.equal(readCommands(pack([gets(txnStepsMax)]), 1).length, 1)
  t.throws(() => readCommands(pack([gets(txnStepsMax + 1)]), 1), { code: 'TOO_LARGE' })
  const ranges = (number: number): Packed => [8, [], [], Array.from({ length: number }, () => [3, one, two])]
  t.equal(readCommands(pack([ranges(txnRangesMax)]), 1).length, 1)
  t.throws(() => readCommands(pack([ranges(txnRangesMax + 1)]), 1), { code: 'TOO_LARGE' })
  t.throws(() => readCommands(pack([[7, new Uint8Array(keyBytesMax + 1), one]]), 1), { code: 'TOO_LARGE' })
  t.throws(() => readCommands(pack([[7, one, new Uint8Array(valueBytesMax + 1)]]), 1), { code: 'TOO_LARGE' })
})
