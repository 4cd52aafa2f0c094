// Commands of several keys: all or nothing, under one revision, bounded; and what went wrong in other stores.
import { t } from 'tap'
import { type ErrorCode, numberOfCode } from '../../lib/base/errors.ts'
import { effectsKey, unsealed } from '../../lib/kv/rows.ts'
import { bytesMax, keysMax } from '../../lib/kv/staging.ts'
import { type Packed, pack, unpack } from '../../lib/record/pack.ts'
import type { Command, Compare, Operation, RangeOperation, TxnCommand } from '../../lib/wire/kv/commands.ts'
import { packCommand } from '../../lib/wire/kv/commands.ts'
import { Bed, bytes, del, increment, promised, put, Records, temporaryFolder, text } from './bed.ts'
import { type Said, said } from './model.ts'

function txn(onTrue: readonly Operation[], compares: readonly Compare[] = [], onFalse: readonly Operation[] = []) {
  return { op: 'txn', compares, onTrue, onFalse } satisfies TxnCommand
}

function get(key: string): Operation {
  return { op: 'get', key: bytes(key) }
}

function read(from: string, to: string | null, rest: Partial<RangeOperation> = {}): RangeOperation {
  const plain = { limit: 0, reverse: false, keysOnly: false, countOnly: false }
  return { op: 'range', from: bytes(from), to: to === null ? null : bytes(to), ...plain, ...rest }
}

function clear(from: string, to: string | null): Command & Operation {
  return { op: 'deleteRange', from: bytes(from), to: to === null ? null : bytes(to) }
}

function append(key: string, value: string): Command & Operation {
  return { op: 'append', key: bytes(key), value: bytes(value) }
}

function isVersion(key: string, operand: number): Compare {
  return { target: 'version', relation: 'eq', from: bytes(key), to: undefined, operand }
}

/** A machine that is closed and opened over its folder, and the log that it applies. */
class Store {
  readonly #folder = temporaryFolder()
  readonly log = new Records()
  bed = new Bed(this.#folder.path)

  static async open(t: { teardown: (end: () => unknown) => void }): Promise<Store> {
    const store = new Store()
    await store.bed.open()
    t.teardown(async () => {
      await store.bed.close()
      store.#folder.remove()
    })
    return store
  }

  /** What was said to each command of one record. */
  async run(...commands: readonly Command[]): Promise<(Said | null)[]> {
    const batch = this.log.commands(commands)
    const [outcomes] = await this.bed.apply(batch)
    return said(batch, outcomes!)
  }

  /** From now on only the disk has it. */
  async restart(): Promise<void> {
    await this.bed.flush(this.log.last)
    await this.bed.close()
    this.bed = await new Bed(this.#folder.path).open()
  }

  async keys(): Promise<string[]> {
    return (await this.bed.all({})).map(({ key }) => key)
  }
}

function refused(code: ErrorCode, revision: number): Said {
  return [numberOfCode(code), revision, null]
}

t.test('all changes of a transaction have one revision, and one that changes nothing has none', async t => {
  const store = await Store.open(t)
  const [first, second, third] = await store.run(
    txn([put('a', '1'), put('b', '2'), increment('n', 5)]),
    txn([del('nothing'), get('a'), { op: 'max', key: bytes('n'), by: 3 }]),
    put('c', '3')
  )
  t.same(first, [0, 2, [1, [null, null, 5]]])
  const a = { key: 'a', value: '1', create: 2, mod: 2, version: 1 }
  t.same(second, [0, 2, [1, [[0, null], a, 5]]])
  t.same(third, [0, 3, null])
  for (const key of ['a', 'b', 'n']) t.match(await store.bed.get(key), { create: 2, mod: 2, version: 1 })
})

t.test('etcd #18667: an error after others have done their part leaves nothing of them', async t => {
  const store = await Store.open(t)
  await store.run(put('w', 'a word'), put('b', '1'))
  const lists: [string, Operation[], ErrorCode][] = [
    ['a number that is none', [put('a', '1'), increment('w')], 'BAD_REQUEST'],
    ['in a nested one', [put('a', '1'), del('b'), txn([txn([increment('w')])])], 'BAD_REQUEST'],
    ['one key twice', [put('a', '1'), put('a', '2')], 'BAD_REQUEST'],
    ['one key twice, in a nested one', [put('a', '1'), txn([del('a')])], 'BAD_REQUEST'],
    ['even where the first did nothing', [del('a'), put('a', '2')], 'BAD_REQUEST'],
    ['a key of a range deleted before', [clear('a', 'c'), put('b', '2')], 'BAD_REQUEST'],
    ['a key of a range deleted after', [put('b', '2'), clear('a', null)], 'BAD_REQUEST'],
    ['a value beyond its limit', [put('a', '1'), append('w', 'x'.repeat(1_048_571))], 'TOO_LARGE']
  ]
  for (const [name, list, code] of lists) {
    for (const place of ['in memory', 'on disk']) {
      t.same(await store.run(txn(list)), [refused(code, 3)], `${name}, ${place}`)
      await store.restart()
    }
  }
  t.same(await store.keys(), ['b', 'w'])
  t.equal(store.bed.machine.revision, 3)
})

t.test('etcd #18667: what a transaction reads does not depend on what a replica has let go of', async t => {
  const [one, other] = [await Store.open(t), await Store.open(t)]
  for (const store of [one, other]) await store.run(put('a', '1'), put('a', '2'), put('b', '1'), del('b'))
  await other.bed.flush(other.log.last)
  other.bed.machine.compacted(other.log.last.index)
  await other.restart()
  const commands = [
    txn([get('a'), get('b'), read('', null), put('b', '3')], [isVersion('a', 2), isVersion('b', 0)]),
    clear('b', null)
  ]
  const outcomes = await Promise.all([one, other].map(({ bed, log }) => bed.apply(log.commands(commands))))
  t.same(outcomes[0], outcomes[1], 'the digest too')
})

t.test('etcd #17247: each key that a transaction changes stands once in its effects', async t => {
  const store = await Store.open(t)
  await store.run(put('x/1', '1'), put('x/2', '2'), put('n', '1'))
  const batch = store.log.commands([
    put('p', '0'),
    txn([put('a', 'one'), get('a'), increment('n'), clear('x/', 'x0'), txn([put('z', 'two'), read('', null)])]),
    txn([get('a')]),
    append('a', '!')
  ])
  await store.bed.apply(batch)
  await store.restart()
  const rowKey = effectsKey(batch.index)
  const row = unpack(unsealed(rowKey, (await store.bed.level.get(rowKey))!)) as [number, Packed[]]
  const [revisionBefore, [plain, changes, none, appended]] = row
  t.same([revisionBefore, plain, none], [4, 1, 0])
  t.equal(text(appended as Uint8Array), 'one!')
  const spelled = (changes as Packed[][]).map(([key, ...what]) => {
    const [first, length] = what as [number | Uint8Array | null, number]
    if (first === null) return [text(key as Uint8Array), 'deleted']
    if (first instanceof Uint8Array) return [text(key as Uint8Array), text(first), 'computed']
    const at = batch.at + first
    return [text(key as Uint8Array), text(batch.block.bytes.subarray(at, at + length))]
  })
  t.same(spelled, [
    ['a', 'one'],
    ['n', '2', 'computed'],
    ['x/1', 'deleted'],
    ['x/2', 'deleted'],
    ['z', 'two']
  ])
})

t.test('comparisons', async t => {
  const store = await Store.open(t)
  await store.run(put('a', ''), put('b', 'm'), put('b', 'n'), put('c', '1'))
  const one = (target: Compare['target'], relation: Compare['relation'], key: string, operand: number | string) => ({
    target,
    relation,
    from: bytes(key),
    to: undefined,
    operand: typeof operand === 'string' ? bytes(operand) : operand
  })
  const all = (target: Compare['target'], relation: Compare['relation'], from: string, operand: number | string) => ({
    ...one(target, relation, from, operand),
    to: null
  })
  const table: [string, Compare, boolean][] = [
    ['an empty value is a value', one('value', 'eq', 'a', ''), true],
    ['and nothing is none', one('value', 'eq', 'x', ''), false],
    ['nothing differs from any value', one('value', 'ne', 'x', ''), true],
    ['and is not less', one('value', 'lt', 'x', 'z'), false],
    ['bytes are compared as a whole', one('value', 'lt', 'b', 'n\0'), true],
    ['a version', one('version', 'eq', 'b', 2), true],
    ['of nothing', one('version', 'eq', 'x', 0), true],
    ['a revision of creation', one('createRevision', 'lt', 'b', 4), true],
    ['a revision', one('modRevision', 'gt', 'b', 4), false],
    ['a lease that is none', one('leaseId', 'eq', 'a', 0), true],
    ['each key of a range', all('modRevision', 'lt', 'b', 6), true],
    ['one key does not hold', all('modRevision', 'lt', 'b', 5), false],
    ['values of a range', all('value', 'ne', 'a', 'n'), false],
    ['a range without keys', all('version', 'eq', 'd', 7), true]
  ]
  for (const place of ['in memory', 'on disk']) {
    for (const [name, compare, holds] of table) {
      const [answer] = await store.run(txn([], [compare], []))
      t.same(answer, [0, 5, [holds ? 1 : 0, []]], `${name}, ${place}`)
    }
    await store.restart()
  }
  const nested = txn([put('c', '2'), txn([get('c')], [isVersion('c', 1)], [])], [isVersion('c', 1)])
  t.match(await store.run(nested), [[0, 6, [1, [null, [1, [{ value: '2' }]]]]]], 'from the state before all of it')
})

t.test('ranges see what stands before them in the transaction', async t => {
  const store = await Store.open(t)
  await store.run(put('a', '1'), put('b', '2'), put('d', '4'))
  await store.restart()
  const keys = (list: readonly unknown[]) => list.map(each => (each as { key?: string }).key ?? each)
  const [answer] = await store.run(
    txn([
      put('c', '3'),
      del('a'),
      put('e', '5'),
      read('', null),
      read('', null, { reverse: true, limit: 2, keysOnly: true }),
      read('b', 'd', { limit: 2 }),
      read('a', 'c', { countOnly: true }),
      read('x', null)
    ])
  )
  const responses = (answer![2] as [number, unknown[][]])[1]
  t.same(keys(responses[3]!), [0, 'b', 'c', 'd', 'e'])
  t.same(keys(responses[4]!), [1, 'e', 'd'], 'there are more')
  t.same(keys(responses[5]!), [0, 'b', 'c'])
  t.same(responses.slice(6), [1, [0]])
})

t.test('keys of every kind', async t => {
  const store = await Store.open(t)
  const long = '\xff'.repeat(8192)
  const keys = ['\0', '__proto__', 'constructor', 'toString', '\xff', long]
  const puts = keys.map(key => put(key, key.slice(0, 3)))
  t.match(await store.run(txn(puts)), [[0, 2, [1, keys.map(() => null)]]])
  await store.restart()
  t.same(await store.keys(), keys)
  t.match(await store.run(txn(keys.map(get))), [[0, 2, [1, keys.map(key => ({ key, version: 1 }))]]])
  t.same(await store.run(clear('__proto__', '__proto__\0')), [[0, 3, [1]]])
  t.same(await store.run(clear('', null)), [[0, 4, [5]]], 'to the end, the longest key included')
  t.same(await store.keys(), [])
  t.same(await store.run(clear('', null)), [[0, 4, [0]]])
  const [outOfOrder] = store.log.cut([[packCommand(clear('b', 'a'))]])
  t.match(store.bed.machine.check(outOfOrder!.commands, 1), { code: 'BAD_REQUEST' }, 'a range the wrong way round')
})

t.test('nesting is bounded', async t => {
  const store = await Store.open(t)
  let deep = txn([put('a', '1')])
  for (let depth = 1; depth < 8; depth++) deep = txn([deep])
  t.match(await store.run(deep), [[0, 2]])
  const deeper = pack([packCommand(txn([deep]))])
  t.match(store.bed.machine.check(deeper, 1), { code: 'BAD_REQUEST' })
})

t.test('10,000 keys are changed or looked at by one command, and not one more', async t => {
  const store = await Store.open(t)
  const records = Array.from({ length: 3 }, (_, part) =>
    Array.from({ length: part < 2 ? 4000 : 2001 }, (_, at) => put(`k/${part}/${String(at).padStart(4, '0')}`, ''))
  )
  for (const commands of records) await store.run(...commands)
  const total = keysMax + 1
  t.equal(store.bed.machine.revision, 1 + total)
  for (const place of ['in memory', 'on disk']) {
    const before = store.bed.machine.revision
    t.same(await store.run(clear('', null)), [refused('TOO_LARGE', before)], place)
    t.same(await store.run(txn([put('x', '1'), read('k/', null, { countOnly: true })])), [refused('TOO_LARGE', before)])
    const limited = read('k/', null, { limit: keysMax, keysOnly: true })
    const [answer] = await store.run(txn([{ ...limited, countOnly: true }]))
    t.same(answer, [0, before, [1, [keysMax]]], 'a limit is reached before that')
    const compare: Compare = { target: 'version', relation: 'eq', from: bytes('k/'), to: null, operand: 1 }
    t.same(await store.run(txn([], [compare])), [refused('TOO_LARGE', before)])
    await store.restart()
  }
  t.same(await store.run(clear('k/', 'k/2/2000')), [[0, 2 + total, [keysMax]]])
  t.same(await store.keys(), ['k/2/2000'])
})

t.test('4 MiB are read or changed by one command, the same from memory and from disk', async t => {
  const store = await Store.open(t)
  const value = 'v'.repeat(1_000_000)
  for (const key of ['a', 'b', 'c', 'd', 'e']) await store.run(put(key, value))
  const before = store.bed.machine.revision
  const isValue = (key: string): Compare => ({ ...isVersion(key, 0), target: 'value', operand: bytes(value) })
  for (const place of ['in memory', 'on disk']) {
    const lists: [string, TxnCommand, boolean][] = [
      ['four values', txn(['a', 'b', 'c', 'd'].map(get)), true],
      ['five', txn(['a', 'b', 'c', 'd', 'e'].map(get)), false],
      ['four of a range', txn([read('a', 'e')]), true],
      ['five of one', txn([read('a', null)]), false],
      ['the keys of all', txn([read('a', null, { keysOnly: true })]), true],
      ['five previous ones', txn(['a', 'b', 'c', 'd', 'e'].map(key => del(key, { previous: true }))), false],
      ['values that are compared and read', txn(['a', 'b'].map(get), ['c', 'd', 'e'].map(isValue)), false]
    ]
    for (const [name, command, fits] of lists) {
      const [answer] = await store.run(command)
      t.same(answer!.slice(0, 2), fits ? [0, before] : [numberOfCode('TOO_LARGE'), before], `${name}, ${place}`)
    }
    await store.restart()
  }
  const appends = ['a', 'b', 'c', 'd'].map(key => append(key, '!'))
  t.match(await store.run(txn(appends)), [[0, before + 1, [1, [1_000_001, 1_000_001, 1_000_001, 1_000_001]]]])
  const five = txn([...appends, append('e', '!')])
  t.same(await store.run(five), [refused('TOO_LARGE', before + 1)])
  t.ok(5 * value.length > bytesMax)
  t.same(await store.run(clear('', null)), [[0, before + 2, [5]]], 'values that are deleted do not count')
})

t.test('a fence is in force as long as its key is the one that was created then', async t => {
  const store = await Store.open(t)
  await store.run(put('lock', 'mine'), put('lock', 'still mine'))
  const fenced = (key: string, token: number): Command => ({
    op: 'put',
    key: bytes(key),
    value: bytes('x'),
    ifRevision: null,
    previous: false,
    fencing: { key: bytes('lock'), token }
  })
  for (const place of ['in memory', 'on disk']) {
    const revision = store.bed.machine.revision
    t.same(await store.run(fenced('a', 3)), [refused('FENCED', revision)], `another token, ${place}`)
    t.same(await store.run(fenced('a', 2)), [[0, revision + 1, null]])
    await store.restart()
  }
  const revision = store.bed.machine.revision
  const inOneRecord = await store.run(fenced('b', 2), del('lock'), fenced('b', 2), put('lock', 'yours'), fenced('b', 2))
  t.same(
    inOneRecord.map(one => one![0]),
    [0, 0, numberOfCode('FENCED'), 0, numberOfCode('FENCED')]
  )
  t.equal(store.bed.machine.revision, revision + 3)
})

t.test('what version 1 does not know waits for version 2', async t => {
  const store = await Store.open(t)
  const { machine } = store.bed
  const commands = pack([packCommand(txn([put('a', '1')]))])
  t.equal(machine.check(commands, 1), null)
  t.equal(machine.versionMax, 2)
  machine.version(1)
  t.match(machine.check(commands, 1), { code: 'UNAVAILABLE', retryAfterMs: 50 })
  t.same(await store.run(txn([put('a', '1')])), [refused('BAD_REQUEST', 1)], 'a leader would not have let it in')
  machine.version(2)
  t.match(await store.run(txn([put('a', '1')])), [[0, 2]])
})

t.test('what only makes room may go on when there is little', async t => {
  const store = await Store.open(t)
  const grows = (command: Command) => store.bed.machine.grows(pack([packCommand(command)]), 1)
  for (const command of [del('a'), clear('a', null), txn([del('a'), clear('b', null)], [], [get('x'), read('', null)])])
    t.notOk(grows(command))
  for (const command of [put('a', '1'), increment('n'), append('a', ''), txn([], [], [txn([put('a', '1')])])])
    t.ok(grows(command))
})

t.test('a machine that is closed while a command reads answers, and keeps nothing of it open', async t => {
  const store = await Store.open(t)
  await store.run(put('a', '1'), put('b', '2'))
  await store.restart()
  const applying = store.bed.apply(store.log.commands([put('c', '3'), txn([put('d', '4'), read('', null)])]))
  await Promise.all([t.rejects(applying, { code: 'STOPPED' }), store.bed.close()])
  t.equal(store.bed.machine.openScans, 0)
  await t.rejects(
    promised(done => store.bed.machine.apply([], done)),
    { code: 'STOPPED' }
  )
})
