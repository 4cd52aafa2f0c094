// Memory of the table of leases: bytes for a lease with one key, and what it costs to renew one.
//
//   node --expose-gc --import tsx bench/micro/lease-bytes.ts [leases, default 100000]
import { LeaseTable } from '../../lib/kv/leases/lease-table.ts'

const count = Number(process.argv[2] ?? 100_000)
const names = Array.from({ length: count }, (_, at) => `services/worker-${at}`)
const used = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}
const table = new LeaseTable()
const before = used()
for (const [at, name] of names.entries()) {
  table.grant(4_096 * (at + 1), 10_000, 1_700_000_000_000 + at, true)
  table.move(name, 0, 4_096 * (at + 1))
}
table.takeChanged()
const bytes = (used() - before) / count
const begun = performance.now()
for (let at = 0; at < count; at++) table.renew(table.find(4_096 * (at + 1))!, 1_700_000_100_000 + at)
const renewed = performance.now()
table.takeChanged()
let ended = 0
while (table.count > 0) {
  for (const { lease, keys } of table.due(1_800_000_000_000)) {
    table.end(lease)
    for (const key of keys) table.move(key, lease.id, 0)
    ended++
  }
}
const microseconds = (ms: number): number => Math.round((1_000 * ms * 100) / count) / 100
console.log(
  JSON.stringify({
    leases: count,
    bytesPerLease: Math.round(bytes),
    renewMicroseconds: microseconds(renewed - begun),
    endMicroseconds: microseconds(performance.now() - renewed),
    ended
  })
)
