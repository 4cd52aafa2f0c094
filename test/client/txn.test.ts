// Transactions as the client makes them: what goes over the wire, what comes back, and what is refused before it goes.
/* oxlint-disable promise/valid-params -- the `then` of a transaction is not that of a promise */
import t from 'tap'
import { cmp, op } from '../../lib/client/client.ts'
import type { Entry } from '../../lib/client/entry.ts'
import { type Packed, pack } from '../../lib/record/pack.ts'
import type { Command, TxnCommand } from '../../lib/wire/kv/commands.ts'
import { ClientRig } from '../help/client-rig.ts'

const bytes = (value: string): Uint8Array => new TextEncoder().encode(value)
const packed = (key: string, value: string | null, mod = 5): Packed => {
  return [bytes(key), value === null ? null : bytes(value), 2, mod, 3, 0]
}
const entry = (key: string, value: string | null): object => {
  return { key, value, createRevision: 2, modRevision: 5, version: 3, leaseId: 0 }
}

/** Answers every further command with `answer`, and keeps what came. */
function answering(rig: ClientRig, answer: Packed | null, revision = 7): Command[] {
  const came: Command[] = []
  rig.cluster.store.beyond = command => {
    came.push(command)
    return { status: 0, revision, answer: answer === null ? null : pack(answer) }
  }
  return came
}

void t.test('comparisons and steps go over the wire in their order', async t => {
  const rig = new ClientRig()
  const db = rig.client().namespace('x/')
  const came = answering(rig, [0, []])
  const lease = { id: 8192 }
  const txn = db
    .txn()
    .if(cmp('a').version.eq(0), cmp({ prefix: 'b/' }).modRevision.lt(77), cmp('c').value.ne('x'))
    .if(
      cmp('d').lease.gt(lease),
      cmp({ from: 'e', to: 'f' }).createRevision.ne(4),
      cmp('g').exists(),
      cmp('h').absent()
    )
    .then(op.put('a', '1', { previous: true, ttl: '2s' }), op.put('l', '', { lease }), op.delete('b'), op.get('c'))
    .then(op.getRange({ prefix: 'd', limit: 5, reverse: true }), op.count(), op.deleteRange({ from: 'e' }))
    .then(op.add('n'), op.min('n', 3), op.max('n', -3), op.append('t', 'more'))
    .then(op.txn({ if: [cmp('z').value.eq('z')], else: [op.get('z')] }))
  await rig.settled(txn.commit())
  const from = bytes('x/')
  t.same(came, [
    {
      op: 'txn',
      compares: [
        { target: 'version', relation: 'eq', from: bytes('x/a'), to: undefined, operand: 0 },
        { target: 'modRevision', relation: 'lt', from: bytes('x/b/'), to: bytes('x/b0'), operand: 77 },
        { target: 'value', relation: 'ne', from: bytes('x/c'), to: undefined, operand: bytes('x') },
        { target: 'leaseId', relation: 'gt', from: bytes('x/d'), to: undefined, operand: 8192 },
        { target: 'createRevision', relation: 'ne', from: bytes('x/e'), to: bytes('x/f'), operand: 4 },
        { target: 'version', relation: 'gt', from: bytes('x/g'), to: undefined, operand: 0 },
        { target: 'version', relation: 'eq', from: bytes('x/h'), to: undefined, operand: 0 }
      ],
      onTrue: [
        { ...put('x/a', '1'), previous: true, ttlMs: 2000 },
        { ...put('x/l', ''), leaseId: 8192 },
        { op: 'delete', key: bytes('x/b'), ifRevision: null, previous: false, fencing: null },
        { op: 'get', key: bytes('x/c') },
        { ...range, from: bytes('x/d'), to: bytes('x/e'), limit: 5, reverse: true },
        { ...range, from, to: bytes('x0'), keysOnly: true, countOnly: true },
        { op: 'deleteRange', from: bytes('x/e'), to: bytes('x0') },
        { op: 'increment', key: bytes('x/n'), by: 1 },
        { op: 'min', key: bytes('x/n'), by: 3 },
        { op: 'max', key: bytes('x/n'), by: -3 },
        { op: 'append', key: bytes('x/t'), value: bytes('more') },
        {
          op: 'txn',
          compares: [{ target: 'value', relation: 'eq', from: bytes('x/z'), to: undefined, operand: bytes('z') }],
          onTrue: [],
          onFalse: [{ op: 'get', key: bytes('x/z') }]
        }
      ],
      onFalse: []
    } satisfies TxnCommand
  ])
})

const range = { op: 'range', limit: 0, reverse: false, keysOnly: false, countOnly: false } as const

function put(key: string, value: string) {
  const nothing = { ifRevision: null, previous: false, leaseId: 0, ttlMs: 0, fencing: null }
  return { op: 'put', key: bytes(key), value: bytes(value), ...nothing } as const
}

void t.test('each step answers in its own way, and the types say which', async t => {
  const rig = new ClientRig()
  const db = rig.client().namespace('x/')
  const none: Packed = null
  const answers: Packed[] = [none, packed('x/p', 'old'), none, packed('x/g', 'v'), [1, packed('x/r', 'v')]]
  const more: Packed[] = [[0, packed('x/r', null)], 4, [1, null], [1, packed('x/d', 'v')], 9, 12, 5, [0, [none]]]
  answering(rig, [1, [...answers, ...more]])
  const calls = db
    .txn()
    .then(op.put('a', '1'), op.put('p', '1', { previous: true }), op.get('none'), op.get('g'), op.getRange({}))
    .then(
      op.getRange({ keysOnly: true }),
      op.count({ prefix: 'r' }),
      op.delete('d'),
      op.delete('d', { previous: true })
    )
    .then(op.deleteRange({ prefix: '' }), op.add('n', 2), op.append('t', 'x'), op.txn({ else: [op.get('q')] }))
    .else(op.get('a'))
    .commit()
  const result = await rig.settled(calls)
  t.equal(result.revision, 7)
  if (!result.succeeded) return t.fail('the first branch')
  const [plain, previous, absent, got, listed, keys, count, gone, deleted, ranged, sum, appended, inner] =
    result.responses
  const typed: readonly [Entry<string> | null, readonly Entry<null>[], number, number] = [
    got,
    keys.entries,
    count,
    sum.value
  ]
  t.same(typed, [entry('g', 'v'), [entry('r', null)], 4, 12])
  t.same([plain, previous, absent], [{}, { previous: entry('p', 'old') }, null])
  t.same([listed, keys.more], [{ entries: [entry('r', 'v')], more: true }, false])
  t.same([gone, deleted, ranged], [{ deleted: 1 }, { deleted: 1, previous: entry('d', 'v') }, { deleted: 9 }])
  t.same([appended, inner], [{ length: 5 }, { succeeded: false, responses: [null] }])
  return t.end()
})

void t.test('the second branch answers for itself', async t => {
  const rig = new ClientRig()
  answering(rig, [0, [packed('a', '1')]])
  const txn = rig.client().txn().if(cmp('a').absent()).then(op.put('a', '2'), op.count()).else(op.get('a'))
  t.same(await rig.settled(txn.commit()), { succeeded: false, responses: [entry('a', '1')], revision: 7 })
  t.same((await rig.settled(txn.commit())).succeeded, false, 'what was put together can be done again')
})

void t.test('what is malformed is refused before it goes, and nothing is applied', async t => {
  const rig = new ClientRig()
  const db = rig.client<unknown>({ valueEncoding: 'json' })
  const came = answering(rig, [1, []])
  const faults: [string, () => Promise<unknown>][] = [
    ['BAD_REQUEST', () => db.txn().then(op.put('', 1)).commit()],
    ['BAD_REQUEST', () => db.txn().then(op.put('a', undefined)).commit()],
    [
      'BAD_REQUEST',
      () =>
        db
          .txn()
          .then(op.put('a', 1, { ttl: 1000, lease: 5 }))
          .commit()
    ],
    ['BAD_REQUEST', () => db.txn().then(op.add('a', 0.5)).commit()],
    [
      'BAD_REQUEST',
      () =>
        db
          .txn()
          .then(op.deleteRange({} as { prefix: string }))
          .commit()
    ],
    [
      'BAD_REQUEST',
      () =>
        db
          .txn()
          .then(op.getRange({ prefix: 'a', from: 'b' }))
          .commit()
    ],
    [
      'BAD_REQUEST',
      () =>
        db
          .txn()
          .then(op.getRange({ limit: 0 }))
          .commit()
    ],
    ['BAD_REQUEST', () => db.txn().if(cmp('a').version.eq(-1)).commit()],
    [
      'BAD_REQUEST',
      () =>
        db
          .txn()
          .if(cmp({} as { prefix: string }).absent())
          .commit()
    ],
    ['BAD_REQUEST', () => db.txn().if(cmp('').exists()).commit()],
    ['BAD_REQUEST', () => db.txn().commit({ notBefore: 5 } as object)],
    [
      'TOO_LARGE',
      () =>
        db
          .txn()
          .then(op.get('k'.repeat(9000)))
          .commit()
    ],
    [
      'TOO_LARGE',
      () =>
        db
          .txn()
          .then(op.put('a', 'x'.repeat(1e6)), op.put('b', 'x'.repeat(1e6)))
          .commit()
    ]
  ]
  for (const [code, fault] of faults)
    t.match(await rig.rejection(fault()), { code, fate: 'not-applied' }, String(fault))
  t.throws(() => db.txn().then((() => {}) as never), { code: 'BAD_REQUEST' })
  t.throws(() => db.txn().if(op.get('a') as never), { code: 'BAD_REQUEST' })
  const awaited: unknown = db.txn().then(op.get('a'))
  t.match(await rig.rejection(Promise.resolve(awaited)), { code: 'BAD_REQUEST', message: /commit\(\)/ })
  t.same(came, [])
})

void t.test('what became of a transaction of unknown fate is told as it would have been', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  answering(rig, [1, [packed('a', '1'), null]])
  for (const node of rig.cluster.nodes) {
    node.intercept = (frame, link) => {
      if (frame[4] !== 1) return false
      link.apply(frame)
      return true
    }
  }
  const lost = await rig.rejection(db.txn().then(op.get('a'), op.put('b', '2')).commit({ timeout: 500 }))
  t.match(lost, { code: 'TIMED_OUT', fate: 'unknown' })
  const { operationId } = lost as { readonly operationId: string }
  const applied = { succeeded: true, responses: [entry('a', '1'), {}], revision: 7 }
  t.same(await rig.settled(db.resolve(operationId)), { applied })
  const other = rig.client()
  const { responses: _known, ...known } = applied
  t.same(
    await rig.settled(other.resolve(operationId)),
    { applied: known },
    'another client does not know what was asked'
  )
})

void t.test('a transaction whose answer got lost and was not kept says that it was applied', async t => {
  const rig = new ClientRig()
  answering(rig, null)
  t.match(await rig.rejection(rig.client().txn().then(op.get('a')).commit()), {
    code: 'TOO_LARGE',
    fate: 'unknown',
    message: /^applied, but/
  })
})

void t.test('single commands that answer with a number', async t => {
  const rig = new ClientRig()
  const db = rig.client()
  const came = answering(rig, [5])
  t.same(await rig.settled(db.min('n', 5)), { value: 5, revision: 7 })
  t.same(await rig.settled(db.max('n', -5)), { value: 5, revision: 7 })
  t.same(await rig.settled(db.append('n', 'ab')), { length: 5, revision: 7 })
  t.same(await rig.settled(db.deleteRange({ prefix: 'n' })), { deleted: 5, revision: 7 })
  t.match(await rig.rejection(db.deleteRange({} as { prefix: string })), { code: 'BAD_REQUEST' })
  t.match(came, [{ op: 'min', by: 5 }, { op: 'max', by: -5 }, { op: 'append' }, { op: 'deleteRange', to: bytes('o') }])
})
