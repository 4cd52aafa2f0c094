// The table of leases against a plain model: what falls due when, which keys end with what, and what a flush has to write.
import fc from 'fast-check'
import { t } from 'tap'
import { endedDeadline } from '../../../lib/kv/leases/lease.ts'
import { endKeysMax, type LeaseRow, LeaseTable } from '../../../lib/kv/leases/lease-table.ts'

const ttlMs = 1000

/** What the table is: a list. */
class Model {
  readonly leases = new Map<number, { row: LeaseRow; keys: Set<string> }>()
  readonly owner = new Map<string, number>()

  move(key: string, to: number): void {
    const from = this.owner.get(key) ?? 0
    if (from === to) return
    if (to === 0) this.owner.delete(key)
    else this.owner.set(key, to)
    if (to !== 0) this.leases.get(to)!.keys.add(key)
    const left = this.leases.get(from)
    if (left === undefined) return
    left.keys.delete(key)
    if (left.keys.size === 0 && (left.row.bound || left.row.deadline === endedDeadline)) this.leases.delete(from)
  }

  due(time: number): string[] {
    return [...this.leases]
      .filter(([, { row }]) => row.deadline < time)
      .toSorted(([a, { row: x }], [b, { row: y }]) => x.deadline - y.deadline || a - b)
      .map(([id, { keys }]) => `${id}:${[...keys].toSorted().join(',')}`)
  }
}

type Step =
  | { readonly op: 'grant'; readonly ttlMs: number }
  | { readonly op: 'bound'; readonly ttlMs: number; readonly key: string }
  | { readonly op: 'renew'; readonly at: number }
  | { readonly op: 'give'; readonly at: number; readonly key: string }
  | { readonly op: 'detach'; readonly key: string }
  | { readonly op: 'end'; readonly at: number }
  | { readonly op: 'expire'; readonly ms: number }
  | { readonly op: 'flush' }

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')
const at = fc.nat(5)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ op: fc.constant('grant' as const), ttlMs: fc.integer({ min: 1000, max: 1003 }) }),
  fc.record({ op: fc.constant('bound' as const), ttlMs: fc.integer({ min: 1000, max: 1003 }), key }),
  fc.record({ op: fc.constant('renew' as const), at }),
  fc.record({ op: fc.constant('give' as const), at, key }),
  fc.record({ op: fc.constant('detach' as const), key }),
  fc.record({ op: fc.constant('end' as const), at }),
  fc.record({ op: fc.constant('expire' as const), ms: fc.nat(1500) }),
  fc.record({ op: fc.constant('flush' as const) })
)

void t.test('the table does what a plain list does, and a flush writes what makes it again', async () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const table = new LeaseTable()
      const model = new Model()
      const disk = new Map<number, LeaseRow>()
      let time = 1
      let id = 0
      const living = () => [...model.leases].filter(([, { row }]) => row.deadline !== endedDeadline).map(([id]) => id)
      const pick = (at: number) => living()[at % Math.max(1, living().length)]
      const set = (id: number, row: LeaseRow) => {
        const known = model.leases.get(id)
        model.leases.set(id, { row, keys: known?.keys ?? new Set() })
      }
      const move = (key: string, to: number) => {
        table.move(key, model.owner.get(key) ?? 0, to)
        model.move(key, to)
      }
      const grant = (ttlMs: number, bound: boolean) => {
        id++
        table.grant(id, ttlMs, time, bound)
        set(id, { ttlMs, deadline: time + ttlMs, bound })
      }
      for (const step of steps) {
        time++
        switch (step.op) {
          case 'grant':
            grant(step.ttlMs, false)
            break
          case 'bound':
            grant(step.ttlMs, true)
            move(step.key, id)
            break
          case 'detach':
            move(step.key, 0)
            break
          case 'expire':
            time += step.ms
            same(
              table.due(time).map(({ lease, keys }) => `${lease.id}:${keys.join(',')}`),
              model.due(time)
            )
            for (const { lease, keys } of table.due(time)) {
              table.end(lease)
              for (const key of keys) table.move(key, lease.id, 0)
              model.leases.delete(lease.id)
              for (const key of keys) model.owner.delete(key)
            }
            same(table.due(time), [])
            break
          case 'flush':
            for (const [id, row] of table.takeChanged().rows) {
              if (row === null) disk.delete(id)
              else disk.set(id, row)
            }
            same(loaded(disk).sum, table.sum)
            same(
              [...disk].toSorted(([a], [b]) => a - b),
              [...model.leases].map(([id, { row }]) => [id, row]).toSorted(([a], [b]) => Number(a) - Number(b))
            )
            break
          default: {
            const picked = pick(step.at)
            if (picked === undefined) break
            const lease = table.find(picked)!
            const { row, keys } = model.leases.get(picked)!
            if (step.op === 'renew') {
              table.renew(lease, time)
              set(picked, { ...row, deadline: time + row.ttlMs })
            } else if (step.op === 'give') {
              move(step.key, picked)
            } else {
              table.end(lease)
              set(picked, { ...row, deadline: endedDeadline })
              if (keys.size === 0) model.leases.delete(picked)
            }
          }
        }
        const deadlines = [...model.leases.values()].map(({ row }) => row.deadline)
        same(table.dueAt, Math.min(...deadlines))
        same(
          [...table.after(0)].map(({ id, keyCount }) => [id, keyCount]),
          living()
            .toSorted((a, b) => a - b)
            .map(id => [id, model.leases.get(id)!.keys.size])
        )
      }
    }),
    { numRuns: 300 }
  )
})

void t.test('a lease lasts its whole ttl: it is due only once its deadline is past', async t => {
  const table = new LeaseTable()
  const lease = table.grant(1, ttlMs, 500, false)
  t.same(table.due(1500), [])
  t.equal(table.due(1501).length, 1)
  table.renew(lease, 1501)
  t.same(table.due(2501), [], 'also one that was due already is saved by a renewal')
  t.equal(table.dueAt, 2501)
})

void t.test('a record takes whole leases, and a lease with more keys than it may delete in parts', async t => {
  const table = new LeaseTable()
  table.grant(1, ttlMs, 0, false)
  for (let number = 0; number < 3000; number++) table.move(`a${number}`, 0, 1)
  table.grant(2, ttlMs, 1, false)
  for (let number = 0; number < endKeysMax + 5; number++) table.move(`b${number}`, 0, 2)
  table.grant(3, ttlMs, 2, false)
  table.move('c', 0, 3)
  const taken: number[][] = []
  for (;;) {
    const due = table.due(5000)
    if (due.length === 0) break
    taken.push(due.map(({ keys }) => keys.length))
    for (const { lease, keys } of due) {
      table.end(lease)
      t.equal(table.find(lease.id), undefined, 'it has ended, whatever it still has')
      for (const key of keys) table.move(key, lease.id, 0)
    }
  }
  t.same(taken, [[3000], [endKeysMax], [5, 1]])
  t.equal(table.count, 0)
  t.equal(table.dueAt, Number.POSITIVE_INFINITY)
})

void t.test('names of keys count too: what is deleted at once stays small', async t => {
  const table = new LeaseTable()
  table.grant(1, ttlMs, 0, false)
  for (let number = 0; number < 1000; number++) table.move(`${number}`.padStart(8192, 'k'), 0, 1)
  const [first] = table.due(5000)
  t.equal(first!.keys.length, 512)
})

void t.test('keys come in order, page after page, whether there is one or many', async t => {
  const table = new LeaseTable()
  const lease = table.grant(1, ttlMs, 0, false)
  t.same(lease.keysAfter(null, 10, 100), [])
  table.move('b', 0, 1)
  t.same(lease.keysAfter(null, 10, 100), ['b'])
  t.same(lease.keysAfter('b', 10, 100), [])
  for (const key of ['d', 'a', 'c']) table.move(key, 0, 1)
  t.same(lease.keysAfter(null, 2, 100), ['a', 'b'])
  t.same(lease.keysAfter('b', 10, 100), ['c', 'd'])
  for (const key of ['a', 'b', 'c', 'd']) table.move(key, 1, 0)
  t.equal(lease.keyCount, 0)
  t.equal(table.find(1), lease, 'one that was granted by itself needs no key')
})

function loaded(rows: ReadonlyMap<number, LeaseRow>): LeaseTable {
  const table = new LeaseTable()
  for (const [id, row] of rows) table.load(id, row)
  return table
}

function same(found: unknown, wanted: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)]
  if (a !== b) throw new Error(`${a} is not ${b}`)
}
