// Typed corners: namespaces whose values have an encoding of their own, or fit a schema.
import t from 'tap'
import * as v from 'valibot'
import type { StandardSchema } from '../../lib/client/schema.ts'
import type { Store } from '../../lib/client/store.ts'
import { ClientRig } from '../help/client-rig.ts'

const schema = v.object({ name: v.string(), age: v.optional(v.number(), 1), tags: v.array(v.string()) })

void t.test('values fit their schema on the way in and on the way out, and are JSON in between', async t => {
  const rig = new ClientRig()
  const db = rig.client()
  const users: Store<v.InferOutput<typeof schema>> = db.sub('users/', schema)
  const ada = { name: 'Ada', age: 36, tags: [] }
  await rig.settled(users.put('ada', ada))
  t.same((await rig.settled(users.get('ada')))?.value, ada)
  t.equal((await rig.settled(db.get('users/ada')))?.value, JSON.stringify(ada))
  await rig.settled(db.put('users/bob', '{"name":"Bob","tags":["x"]}'))
  t.same((await rig.settled(users.get('bob')))?.value, { name: 'Bob', age: 1, tags: ['x'] })
  await rig.settled(db.put('users/eve', '{"name":5,"tags":[null]}'))
  const wrong = { code: 'BAD_REQUEST', fate: 'not-applied', message: /name: .*; tags\.0: / }
  t.match(await rig.rejection(users.get('eve')), wrong)
  t.match(await rig.rejection(users.range().next()), wrong)
  t.match(await rig.rejection(users.put('x', { name: 5, tags: [null] } as never)), wrong)
  await rig.settled(db.put('users/mal', 'no JSON'))
  t.match(await rig.rejection(users.get('mal')), { code: 'BAD_REQUEST' })
  const failed = await rig.rejection(users.put('ada', ada, { ifAbsent: true }))
  t.match(failed, { code: 'CONDITION_FAILED', current: { key: 'ada', value: ada } })
  t.same(await rig.settled(db.count({ prefix: 'users/x' })), 0)
})

void t.test('a corner may have any encoding, and corners of its own', async t => {
  const rig = new ClientRig()
  const db = rig.client()
  const counts = db.sub<number>('n/', {
    encode: value => Uint8Array.of(value),
    decode: bytes => bytes[0]!
  })
  await rig.settled(counts.put('a', 7))
  t.equal((await rig.settled(counts.namespace('').get('a')))?.value, 7)
  t.same((await rig.settled(db.sub('n/', 'bytes').get('a')))?.value, Uint8Array.of(7))
  await rig.settled(counts.sub('j/', 'json').put('b', [1]))
  t.equal((await rig.settled(db.get('n/j/b')))?.value, '[1]')
  t.throws(() => db.sub('x/', 'yaml' as never), { code: 'BAD_REQUEST' })
  t.throws(() => db.sub('x/', {} as never), { code: 'BAD_REQUEST' })
})

void t.test('a schema that validates later is refused; of many issues the first are told', async t => {
  const rig = new ClientRig()
  const db = rig.client()
  const of = (validate: StandardSchema['~standard']['validate']): StandardSchema => {
    return { '~standard': { version: 1, vendor: 'test', validate } }
  }
  const later = db.sub(
    'l/',
    of(async () => ({ value: 1 }))
  )
  t.match(await rig.rejection(later.put('a', 1)), { code: 'BAD_REQUEST', message: /validates later/ })
  const failing = db.sub(
    'l/',
    of(() => Promise.reject(new Error('a bug')))
  )
  t.match(await rig.rejection(failing.put('a', 1)), { code: 'BAD_REQUEST' })
  const issues = Array.from({ length: 8 }, (_, at) => ({ message: `no ${at}`, path: [{ key: 'a' }, at] }))
  const picky = db.sub(
    'p/',
    of(() => ({ issues }))
  )
  t.match(await rig.rejection(picky.put('a', 1)), { message: /a\.0: no 0; .*a\.4: no 4; and 3 more$/ })
  const throwing = db.sub(
    't/',
    of(() => {
      throw new Error('a bug')
    })
  )
  t.match(await rig.rejection(throwing.put('a', 1)), { code: 'BAD_REQUEST', cause: { message: 'a bug' } })
})
