// What the table keeps in memory: the cache within its bound, versions for views, places of replaced versions.
import fc from 'fast-check'
import { t } from 'tap'
import { MemoryTable } from '../../lib/kv/memory-table.ts'
import { OrderedKeys } from '../../lib/kv/ordered-keys.ts'
import { Places, placeOf } from '../../lib/kv/places.ts'
import { RowCache } from '../../lib/kv/row-cache.ts'
import { Version } from '../../lib/kv/version.ts'
import { versionAt } from '../../lib/kv/views.ts'
import { bytes, text } from './bed.ts'

function versionOf(key: string, revision: number, value: string): Version {
  const version = new Version(key, revision, revision, 0)
  version.hold(bytes(`padding${value}`), 7, value.length)
  return version
}

void t.test('the cache keeps values of its own, within its bound, and what is read stays longest', async t => {
  const cache = new RowCache(100_000)
  cache.put(versionOf('hot', 1, 'hot value'))
  const source = versionOf('copied', 2, 'before')
  const block = source.bytes
  cache.put(source)
  block.fill(0)
  t.equal(text(cache.get('copied')!.value), 'before', 'the block may go')
  for (let at = 0; at < 10_000; at++) {
    cache.put(versionOf(`k${at}`, at, 'v'.repeat(at % 50)))
    if (at % 20 === 0 && cache.get('hot') === undefined) t.fail('the hot one is gone')
    if (cache.bytes > 102_000) t.fail(`${cache.bytes} bytes`)
  }
  t.equal(text(cache.get('hot')!.value), 'hot value')
  t.equal(cache.get('k0'), undefined)
  t.equal(text(cache.get('k9999')!.value), 'v'.repeat(49))
  t.ok(cache.count > 200 && cache.count < 420, `${cache.count} entries`)
  cache.put(versionOf('huge', 1, 'v'.repeat(90_000)))
  cache.put(versionOf('hot', 2, 'newer'))
  t.equal(text(cache.get('hot')!.value), 'newer')
  const all = Array.from({ length: 2000 }, (_, at) => `n${at}`)
  for (const key of all) {
    cache.put(versionOf(key, 1, key))
    for (const other of all) if (cache.get(other) === undefined && other === key) t.fail('a new one is not there')
  }
  t.ok(cache.bytes <= 102_000, 'also when everything is read all the time')
})

void t.test('places of many keys, told newest first', async t => {
  const places = new Places()
  const last = new Map<string, number>()
  const told = new Map<string, (readonly number[])[]>()
  for (let at = 1; at <= 10_000; at++) {
    const version = versionOf(`k${(at * at) % 7}`, at, 'v')
    version.createRevision = at * 2 ** 20
    last.set(version.key, places.add(version, last.get(version.key) ?? 0))
    told.set(version.key, [placeOf(version), ...(told.get(version.key) ?? [])])
  }
  for (const [key, number] of last) {
    const { numbers, before } = places.upTo(number, 20)
    t.same(numbers, told.get(key)!.slice(0, 20).toReversed().flat(), 'the newest, oldest first')
    const rest = places.upTo(before, 100_000)
    t.equal(numbers.length + rest.numbers.length, 6 * told.get(key)!.length)
    t.equal(rest.before, 0)
  }
  t.same(places.upTo(0, 20), { numbers: [], before: 0 })
  t.ok(places.bytes >= 10_000 * 48 && places.bytes < 10_000 * 100)
})

void t.test('ordered keys: caught up in parts, then in order from both ends', async t => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1, maxLength: 3 }), { maxLength: 50 }),
      fc.string(),
      (keys, at) => {
        const ordered = new OrderedKeys()
        for (const key of keys) ordered.add(key)
        ordered.catchUp(() => true)
        const sorted = keys.toSorted()
        t.equal(
          ordered.atOrAfter(at),
          sorted.find(key => key >= at)
        )
        t.equal(
          ordered.after(at),
          sorted.find(key => key > at)
        )
        t.equal(
          ordered.before(at),
          sorted.findLast(key => key < at)
        )
        t.equal(ordered.before(undefined), sorted.at(-1))
      }
    )
  )
  const many = new OrderedKeys()
  for (let at = 0; at < 1000; at++) many.add(String((at * 7919) % 1000).padStart(3, '0'))
  let turns = 1
  while (!many.catchUp(() => false)) turns++
  t.ok(turns > 3, `${turns} turns`)
  let count = 0
  for (let key = many.atOrAfter(''); key !== undefined; key = many.after(key)) count++
  t.equal(count, 1000)
})

void t.test('views read what stood at their revision, and cost one version a key and view', async t => {
  const table = new MemoryTable(1000)
  const write = (value: string) => {
    const known = table.find('k') ?? null
    table.revision++
    table.write('k', known, 1, 0).hold(bytes(value), 0, value.length)
  }
  const at = (revision: number) => versionAt(table.active, 'k', revision)
  write('one')
  const first = table.openView()
  write('two')
  write('three')
  const second = table.openView()
  for (let number = 0; number < 5000; number++) write(`n${number}`)
  t.equal(text(at(first.revision)!.value), 'one')
  t.equal(text(at(second.revision)!.value), 'three')
  t.equal(text(at(table.revision)!.value), 'n4999')
  t.equal(at(1), undefined)
  let chain = 0
  for (let version = table.find('k') ?? null; version !== null; version = version.older) chain++
  t.equal(chain, 3)
  t.ok(table.keptCount < 3000, `${table.keptCount} kept`)
  table.closeView(first)
  table.closeView(second)
  t.equal(table.keptCount, 0)
  t.equal(table.find('k')!.older, null)
  const object = table.find('k')
  write('in place')
  t.equal(table.find('k'), object, 'without a view a version is overwritten in place')
})
