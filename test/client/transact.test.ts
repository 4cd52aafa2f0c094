// Optimistic transactions, updates and range deletes of several clients, in virtual time against real machines.
import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Transaction } from '../../lib/client/client.ts'
import { microtasks } from '../help/client-rig.ts'
import { type SimClient, SimClients } from '../help/sim-clients.ts'

t.setTimeout(120_000)

void t.test('increments by hand of several clients all count', async t => {
  const sim = await new SimClients(1).found()
  const clients = await sim.clients(4)
  const add = async ({ db }: SimClient): Promise<void> => {
    for (let count = 0; count < 5; count++) {
      await db.transact(async tx => {
        const n = await tx.get('n')
        tx.put('n', String(Number(n?.value ?? 0) + 1))
      })
      await db.update('m', value => String(Number(value ?? 0) + 1))
    }
  }
  await sim.end(Promise.all(clients.map(add)))
  const [{ db }] = clients as [SimClient]
  t.match(await sim.end(db.getMany(['n', 'm'])), [{ value: '20' }, { value: '20' }])
})

void t.test('no key comes into a range that was read, and none goes', async t => {
  const sim = await new SimClients(2).found()
  const clients = await sim.clients(3)
  const [{ db }] = clients as [SimClient]
  const fill = async ({ db, name }: SimClient): Promise<void> => {
    for (let count = 0; count < 4; count++) {
      await db.transact(async tx => {
        const seats = await tx.range({ prefix: 'seat/' })
        if (seats.length < 5) tx.put(`seat/${name}/${count}`, 'taken')
      })
    }
  }
  await sim.end(Promise.all(clients.map(fill)))
  t.equal(await sim.end(db.count({ prefix: 'seat/' })), 5)
  await sim.end(Promise.all(clients.map(({ name, db }) => db.put(`duty/${name}`, 'on'))))
  const leave = ({ db, name }: SimClient): Promise<void> => {
    return db.transact(async tx => {
      if ((await tx.range({ prefix: 'duty/' })).length > 1) tx.delete(`duty/${name}`)
    })
  }
  await sim.end(Promise.all(clients.map(leave)))
  t.equal(await sim.end(db.count({ prefix: 'duty/' })), 1, 'two who leave at once would leave nobody')
})

void t.test('a transaction sees one state, and what it wrote itself', async t => {
  const sim = await new SimClients(3).found()
  const [one, two] = (await sim.clients(2)) as [SimClient, SimClient]
  const db = one.db.namespace('x/')
  await sim.end(Promise.all(['a', 'b', 'c'].map(key => db.put(key, `${key}1`))))
  let runs = 0
  const seen = await sim.end(
    db.transact(async tx => {
      runs++
      const a = await tx.get('a')
      if (runs === 1) await two.db.put('x/b', 'b2')
      tx.put('d', 'd1')
      tx.delete('a')
      const [before, own, gone] = await tx.getMany(['b', 'd', 'a'])
      const first = await tx.range({ limit: 2 })
      const last = await tx.range({ from: 'b', reverse: true, limit: 2 })
      return { a, before, own, gone, first: first.map(each => each.value), last: last.map(each => each.key) }
    })
  )
  t.equal(runs, 2)
  t.match(seen, {
    a: { key: 'a', value: 'a1' },
    before: { value: 'b2' },
    own: { value: 'd1', modRevision: 0 },
    gone: null
  })
  t.same(seen.first, ['b2', 'c1'])
  t.same(seen.last, ['d', 'c'])
  t.match(await sim.end(two.db.getMany(['x/a', 'x/d'])), [null, { value: 'd1' }])
})

void t.test('what the function throws ends it, and nothing is written', async t => {
  const sim = await new SimClients(4).found()
  const [one, two] = (await sim.clients(2)) as [SimClient, SimClient]
  const { db } = one
  const bug = new Error('a bug')
  let left: Transaction<string> | null = null
  const failing = db.transact(tx => {
    left = tx
    tx.put('a', '1')
    throw bug
  })
  t.equal(await sim.rejection(failing), bug)
  t.equal(await sim.end(db.get('a')), null)
  t.throws(() => left!.put('a', '2'), { code: 'BAD_REQUEST' })
  t.match(await sim.rejection(left!.get('a')), { code: 'BAD_REQUEST' })
  t.match(await sim.rejection(db.transact(tx => tx.put('', ''))), { code: 'BAD_REQUEST' })
  t.match(await sim.rejection(db.transact(() => {}, { tiemout: 5 } as object)), { code: 'BAD_REQUEST' })
  const overtaken = db.transact(
    async tx => {
      await tx.get('a')
      await two.db.put('a', 'x')
      tx.put('a', 'y')
    },
    { timeout: 500 }
  )
  t.match(await sim.rejection(overtaken), {
    code: 'TIMED_OUT',
    fate: 'not-applied',
    message: /others came between \d+ times/
  })
  const controller = new AbortController()
  const stuck = db.update(
    'a',
    async () => {
      await two.db.put('a', 'x')
      if (controller.signal.aborted) throw new Error('ran on')
      controller.abort(new Error('given up'))
      return 'y'
    },
    { signal: controller.signal }
  )
  t.match(await sim.rejection(stuck), { message: 'given up' })
})

void t.test('an update keeps the lease of its key, and begins anew where that has ended', async t => {
  const sim = await new SimClients(5).found()
  const [{ db }] = (await sim.clients(1)) as [SimClient]
  await sim.end(db.put('s', 'a', { ttl: 1000 }))
  await sim.end(db.update('s', value => `${value}b`))
  t.match(await sim.end(db.get('s')), { value: 'ab', version: 2 })
  await sim.rest(3000)
  t.equal(await sim.end(db.get('s')), null)
  await sim.end(db.put('s', 'a', { ttl: 1000 }))
  let runs = 0
  const slow = db.update('s', async value => {
    if (runs++ === 0) await new Promise<void>(resolve => void sim.cluster.world.after(3000, null, resolve))
    return value ?? 'new'
  })
  t.match(await sim.end(slow), { value: 'new' })
})

void t.test('a range of more keys than one change may take is deleted page after page', async t => {
  const sim = await new SimClients(6).found()
  const [{ db }] = (await sim.clients(1)) as [SimClient]
  const keys = Array.from({ length: 10_050 }, (_, at) => `k/${at}`)
  await sim.end(Promise.all([...keys.map(key => db.put(key, '')), db.put('k', ''), db.put('k0', '')]))
  t.match(await sim.rejection(db.deleteRange({ prefix: 'k/' })), { code: 'TOO_LARGE', fate: 'not-applied' })
  t.equal(await sim.end(db.count()), keys.length + 2)
  const { revision } = await sim.end(db.put('k', ''))
  const pages = await sim.end(db.deleteRange({ prefix: 'k/' }, { atomic: false }))
  t.same(pages, { deleted: keys.length, revision: revision + 11 })
  t.equal(await sim.end(db.count()), 2)
  t.same(await sim.end(db.namespace('k/').deleteRange({ prefix: '' })), { deleted: 0, revision: revision + 11 })
})

const keys = ['a', 'b', 'c', 'd', 'e']
const keyArbitrary = fc.constantFrom(...keys)

interface Step {
  readonly get?: string
  readonly put?: string
  readonly delete?: string
  readonly range?: { readonly from?: string; readonly to?: string; readonly limit?: number; readonly reverse?: boolean }
}

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  keyArbitrary.map(get => ({ get })),
  keyArbitrary.map(put => ({ put })),
  keyArbitrary.map(key => ({ delete: key })),
  fc
    .record(
      { from: keyArbitrary, to: keyArbitrary, limit: fc.integer({ min: 1, max: 3 }), reverse: fc.boolean() },
      { requiredKeys: [] }
    )
    .map(range => ({ range }))
)

/** What each step of a transaction finds in a state, which it changes. */
function replay(steps: readonly Step[], id: string, state: Map<string, string>): unknown[] {
  return steps.map(step => {
    if (step.get !== undefined) return state.get(step.get) ?? null
    if (step.put !== undefined) state.set(step.put, id)
    if (step.delete !== undefined) state.delete(step.delete)
    if (step.range === undefined) return null
    const { from = '', to = '\xff', limit = 99, reverse = false } = step.range
    const found = keys.filter(key => state.has(key) && key >= from && key < to).map(key => [key, state.get(key)])
    return (reverse ? found.toReversed() : found).slice(0, limit)
  })
}

async function run(steps: readonly Step[], id: string, tx: Transaction<string>): Promise<unknown[]> {
  const found: unknown[] = []
  for (const step of steps) {
    if (step.get !== undefined) found.push((await tx.get(step.get))?.value ?? null)
    else if (step.range !== undefined) {
      const { to = 'z', ...rest } = step.range
      const entries = await tx.range({ from: '', ...rest, to })
      found.push(entries.map(({ key, value }) => [key, value]))
    } else {
      found.push(null)
      if (step.put === undefined) tx.delete(step.delete!)
      else tx.put(step.put, id)
    }
  }
  return found
}

void t.test('whatever several clients do at once, the order of their changes explains all that they saw', async () => {
  const transactions = fc.array(fc.array(stepArbitrary, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 5 })
  const property = fc.asyncProperty(
    fc.integer({ min: 1, max: 1_000_000 }),
    fc.array(transactions, { minLength: 2, maxLength: 3 }),
    fc.boolean(),
    async (seed, work, crash) => {
      const sim = await new SimClients(seed).found()
      const clients = await sim.clients(work.length)
      const programs = new Map<string, readonly Step[]>()
      const ends = clients.map(async ({ db, name }, at) => {
        for (const [number, steps] of work[at]!.entries()) {
          const id = `${name}.${number}`
          programs.set(id, steps)
          await db.transact(
            async tx => {
              const found = await run(steps, id, tx)
              tx.put(`z/${id}`, JSON.stringify(found))
            },
            { timeout: 60_000 }
          )
        }
      })
      await microtasks()
      if (crash) {
        await sim.rest(5)
        const { leader } = sim.cluster
        leader?.crash('power')
        leader?.start()
      }
      await sim.end(Promise.all(ends))
      const [{ db }] = (await sim.clients(1)) as [SimClient]
      const entries: { readonly key: string; readonly value: string; readonly modRevision: number }[] = []
      const log = db.range({ prefix: 'z/' })
      for (;;) {
        const next = await sim.end(log.next())
        if (next.done === true) break
        entries.push(next.value)
      }
      deepStrictEqual(entries.length, programs.size)
      const state = new Map<string, string>()
      for (const { key, value } of entries.toSorted((a, b) => a.modRevision - b.modRevision)) {
        const id = key.slice('z/'.length)
        deepStrictEqual(JSON.parse(value), replay(programs.get(id)!, id, state), id)
      }
      const last = await sim.end(db.getMany(keys))
      deepStrictEqual(
        last.map(entry => entry?.value ?? null),
        keys.map(key => state.get(key) ?? null)
      )
    }
  )
  await fc.assert(property, { numRuns: 25 })
})
