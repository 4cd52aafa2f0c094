// Namespaces: the same interface under a prefix that their users do not see.
import t from 'tap'
import { StrettoError } from '../../lib/base/errors.ts'
import { Corner } from '../../lib/client/corner.ts'
import { UndecodableValue, utf8 } from '../../lib/client/encoding.ts'
import type { Store } from '../../lib/client/store.ts'
import { ClientRig } from '../help/client-rig.ts'

async function keysOf(rig: ClientRig, store: Store<string>, options = {}): Promise<string[]> {
  const keys: string[] = []
  const range = store.range({ ...options, keysOnly: true })
  for (;;) {
    const next = await rig.settled(range.next())
    if (next.done === true) return keys
    keys.push(next.value.key)
  }
}

void t.test('a namespace adds its prefix to keys and bounds, and takes it from what comes back', async t => {
  const rig = new ClientRig()
  const db = rig.client()
  const team = db.namespace('team/')
  const inner = team.namespace(Uint8Array.of(0x61, 0x2f))
  await rig.settled(Promise.all([db.put('other', 'o'), team.put('x', '1'), inner.put('y', '2'), db.put('teams', 't')]))
  t.same(await keysOf(rig, db), ['other', 'team/a/y', 'team/x', 'teams'])
  t.same(await keysOf(rig, team), ['a/y', 'x'])
  t.same(await keysOf(rig, inner), ['y'])
  t.same(await keysOf(rig, team, { prefix: 'a/' }), ['a/y'])
  t.same(await keysOf(rig, team, { from: 'b' }), ['x'], 'the end of a range that names none is that of the namespace')
  t.same(await keysOf(rig, team, { to: 'x' }), ['a/y'])
  t.equal(await rig.settled(team.count()), 2)
  t.match(await rig.settled(team.get('x')), { key: 'x', value: '1' })
  t.match(await rig.settled(inner.read(Uint8Array.of(0x79))), { entry: { key: 'y' } })
  t.match(await rig.settled(team.getMany(['x', 'y', 'a/y'])), [{ key: 'x' }, null, { key: 'a/y' }])
  t.match(await rig.settled(team.put('x', '3', { previous: true })), { previous: { key: 'x', value: '1' } })
  await rig.settled(db.close())
})

void t.test('the entry that failed a condition is known by its name in the namespace', async t => {
  const rig = new ClientRig()
  const db = rig.client()
  const team = db.namespace('team/')
  await rig.settled(team.put('x', '1'))
  const error = await rig.rejection(team.put('x', '2', { ifAbsent: true }))
  t.match(error, { code: 'CONDITION_FAILED', current: { key: 'x', value: '1' } })
  await rig.settled(db.close())
})

void t.test('a prefix of the last bytes there are has no key after it, and the range of its corner no end', async t => {
  const last = new Corner(Uint8Array.of(0xff, 0xff), utf8)
  t.same(last.range({}), { from: Uint8Array.of(0xff, 0xff), to: null })
  t.same(last.within(Uint8Array.of(1, 0xff)).range({}).to, Uint8Array.of(0xff, 0xff, 2))
  t.equal(last.textOf(Uint8Array.of(0xff, 0xff, 0x61)), 'a')
  t.throws(() => last.textOf(Uint8Array.of(0xff)), UndecodableValue)
})

void t.test('a namespace has room for less long keys', async t => {
  const rig = new ClientRig()
  const db = rig.client()
  const wide = db.namespace('p'.repeat(8190))
  await rig.settled(wide.put('ab', '1'))
  t.match(await rig.rejection(wide.put('abc', '1')), { code: 'TOO_LARGE', fate: 'not-applied' })
  t.match(await rig.rejection(wide.put('', '1')), { code: 'BAD_REQUEST' })
  t.throws(() => wide.namespace('abc'), StrettoError)
  await rig.settled(db.close())
})

void t.test('options that exclude each other, or cannot be, reach no node', async t => {
  const rig = new ClientRig()
  const db = rig.client()
  const faults = [
    () => db.put('k', 'v', { ttl: 1000, lease: 5 }),
    () => db.put('k', 'v', { lease: -1 }),
    () => db.put('k', 'v', { ttl: 'soon' }),
    () => db.put('k', 'v', { fencing: { key: 'l', fencingToken: 0 } }),
    () => db.delete('k', { fencing: { key: '', fencingToken: 1 } }),
    () => db.get('k', { maxStaleness: 1000 }),
    () => db.get('k', { maxStaleness: -1, consistency: 'stale' })
  ]
  for (const fault of faults) t.match(await rig.rejection(fault()), { code: 'BAD_REQUEST', fate: 'not-applied' })
  await rig.settled(db.close())
})
