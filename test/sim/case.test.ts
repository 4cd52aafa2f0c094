// A case as data: it comes back from its text as it was, and what is wrong in a text is said in one sentence.
import fc from 'fast-check'
import { t } from 'tap'
import { StrettoError } from '../../lib/base/errors.ts'
import { faultNames } from '../../lib/sim/faults.ts'
import { callKinds } from '../../lib/sim/kv-workload.ts'
import { runSeed } from '../../lib/sim/run.ts'
import { type Case, caseFrom, caseOf, formatCase, readCase, runCase } from '../../lib/sim/shrink/case.ts'
import { anyCase } from '../help/any-case.ts'

const plain: Case = {
  seed: 7,
  depth: 'shallow',
  nodes: 3,
  clients: 1,
  durationMs: 600,
  workload: { keys: 1, kinds: ['put', 'get'] },
  schedule: [
    { at: 100, kind: 'crash', node: 'leader', ms: 50, amount: 0 },
    { at: 200, kind: 'reset', node: 2, ms: 0, amount: 0.5 }
  ],
  invariant: 'IS1',
  note: 'Two led the same term.'
}

const text = `{
  "note": "Two led the same term.",
  "invariant": "IS1",
  "seed": 7,
  "depth": "shallow",
  "nodes": 3,
  "clients": 1,
  "durationMs": 600,
  "workload": { "keys": 1, "kinds": ["put", "get"] },
  "schedule": [
    { "at": 100, "kind": "crash", "node": "leader", "ms": 50, "amount": 0 },
    { "at": 200, "kind": "reset", "node": 2, "ms": 0, "amount": 0.5 }
  ]
}
`

t.test('a case has one text, a line for each fault, and comes back from it', async t => {
  t.equal(formatCase(plain), text)
  t.same(readCase(text), plain)
  const bare: Case = { seed: 0, depth: 'deep', nodes: 1, clients: 1, durationMs: 1, schedule: [] }
  t.match(formatCase(bare), '"schedule": []')
  t.same(readCase(formatCase(bare)), bare)
  const one = { ...bare, nodes: 3, schedule: plain.schedule.slice(1) }
  t.match(formatCase(one), '"schedule": [{ "at": 200, "kind": "reset", "node": 2, "ms": 0, "amount": 0.5 }]')
  t.same(readCase(formatCase(one)), one)
  const wide = { ...bare, workload: { keys: 6, kinds: callKinds } }
  t.match(formatCase(wide), /^ {2}"workload": \{\n {4}"keys": 6,\n {4}"kinds": \["put", .*"put-thrice"\]\n {2}\},$/m)
  t.same(readCase(formatCase(wide)), wide)
  fc.assert(fc.property(anyCase, found => t.same(readCase(formatCase(found)), found)))
})

t.test('what is wrong with a text is said in one sentence', async t => {
  const event = plain.schedule[0]!
  const withEvent = (fields: object): object => ({ ...plain, schedule: [event, { ...event, ...fields }] })
  const { seed: _, ...seedless } = plain
  for (const [value, sentence] of [
    [[], 'a case is [], and must be an object'],
    [{ ...plain, speed: 1 }, 'a case has an unknown field "speed": known are note, invariant, seed, depth, nodes, '],
    [seedless, 'seed is missing, and must be a whole number from 0 to 9007199254740991'],
    [{ ...plain, seed: 1.5 }, 'seed is 1.5, and must be a whole number'],
    [{ ...plain, depth: 'middle' }, 'depth is "middle", and must be "shallow" or "deep"'],
    [{ ...plain, nodes: 0 }, 'nodes is 0, and must be a number from 1 to 9'],
    [{ ...plain, clients: '3' }, 'clients is "3", and must be a whole number from 1 to 64'],
    [{ ...plain, durationMs: -1 }, 'durationMs is -1, and must be a number from 1 to 3600000'],
    [{ ...plain, note: 3 }, 'note is 3, and must be a text'],
    [{ ...plain, invariant: '' }, 'invariant is "", and must be a text'],
    [{ ...plain, schedule: {} }, 'schedule is {}, and must be a list of faults'],
    [{ ...plain, schedule: Array(10_001).fill(event) }, 'schedule has 10001 faults, and may have 10000'],
    [{ ...plain, schedule: [null] }, 'schedule[0] is null, and must be an object'],
    [withEvent({ kind: 'crsh' }), 'schedule[1].kind is "crsh", and must be one of partition, one-way, '],
    [withEvent({ kind: 'toString' }), 'schedule[1].kind is "toString", and must be one of '],
    [withEvent({ at: -5 }), 'schedule[1].at is -5, and must be a number from 0 to 3600000'],
    [withEvent({ at: undefined }), 'schedule[1].at is missing, and must be a number'],
    [withEvent({ node: 3 }), 'schedule[1].node is 3, and must be a number from 0 to 2, or "leader"'],
    [withEvent({ node: 'n1' }), 'schedule[1].node is "n1", and must be a whole number from 0 to 2, or "leader"'],
    [withEvent({ ms: 5_000 }), 'schedule[1].ms is 5000, and must be a number from 0 to 4000 for crash'],
    [withEvent({ amount: 41 }), 'schedule[1].amount is 41, and must be a number from 0 to 40 for crash'],
    [withEvent({ until: 4 }), 'schedule[1] has an unknown field "until": known are at, kind, node, ms, amount'],
    [{ ...plain, workload: 'few' }, 'workload is "few", and must be an object'],
    [{ ...plain, workload: { keys: 7 } }, 'workload.keys is 7, and must be a number from 1 to 6'],
    [{ ...plain, workload: { kinds: 'put' } }, 'workload.kinds is "put", and must be a list of kinds of calls'],
    [{ ...plain, workload: { kinds: ['pull'] } }, 'workload.kinds[0] is "pull", and must be one of put, get, '],
    [{ ...plain, workload: { kinds: ['get', 'count'] } }, 'workload.kinds writes nothing: it must hold one of put, '],
    [{ ...plain, workload: { restMs: 0 } }, 'workload.restMs is 0, and must be a number from 1 to 5000']
  ] as const) {
    t.match(
      refusal(() => caseFrom(value)),
      { code: 'BAD_REQUEST', fate: 'not-applied' }
    )
    t.equal(refusal(() => caseFrom(value)).message.slice(0, sentence.length), sentence)
  }
  t.match(refusal(() => readCase('{ "seed": 1, }')).message, /^this is no JSON: /)
})

t.test(
  'a run is the same once more when its faults are written out, and clients do the whole of what they can',
  async t => {
    const options = {
      seed: 5,
      nodes: 3,
      clients: 2,
      depth: 'shallow',
      faults: faultNames,
      durationMs: 3_000
    } as const
    const report = await runSeed(options)
    const written = readCase(formatCase(caseOf(options, report)))
    t.ok(written.schedule.length > 0)
    t.same(await runCase(written), report)
    t.same(await runCase({ ...written, workload: { keys: 6, kinds: callKinds, restMs: 40 } }), report)
    const fewer = await runCase({ ...written, workload: { kinds: ['put'], restMs: 400 } })
    t.ok(fewer.operations < report.operations / 2, `${fewer.operations} calls instead of ${report.operations}`)
  }
)

function refusal(read: () => unknown): StrettoError {
  try {
    read()
  } catch (error) {
    if (error instanceof StrettoError) return error
    throw error
  }
  throw new Error('it is not refused')
}
