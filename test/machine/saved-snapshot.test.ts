// Snapshots of a machine that saves itself whole: its bytes, its CRC, and a vault in a file that holds it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 as crcOfNode } from 'node:zlib'
import fc from 'fast-check'
import { t } from 'tap'
import { concatBytes, toHex } from '../../lib/base/bytes.ts'
import type { Done } from '../../lib/base/env.ts'
import { crc32 } from '../../lib/machine/crc32.ts'
import type { SnapshotSource, StateMachine } from '../../lib/machine/machine.ts'
import { fromMemoryMachine, type MemoryMachine } from '../../lib/machine/memory-machine.ts'
import { MemoryVault, type Vault } from '../../lib/machine/vault.ts'
import { FileVault } from '../../lib/server/file-vault.ts'
import { textBytes } from '../help/machine-log.ts'
import { VirtualTime } from '../help/virtual-time.ts'
import { env, promised } from '../kv/bed.ts'

const runs = Number(process.env['FC_RUNS'] ?? 300)

/** Holds bytes, whatever it is told. */
class Box implements MemoryMachine {
  bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  apply(): null {
    return null
  }

  query(): Uint8Array {
    return this.bytes
  }

  save(): Uint8Array {
    return this.bytes
  }

  load(bytes: Uint8Array): void {
    this.bytes = bytes
  }
}

t.test('the CRC is that of everybody else, in one piece or in two', async t => {
  t.equal(crc32(textBytes('123456789')), 0xcbf43926)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (a, b) => {
      const whole = crcOfNode(concatBytes([a, b]))
      return crc32(concatBytes([a, b])) === whole && crc32(b, crc32(a)) === whole
    }),
    { numRuns: runs }
  )
})

t.test('the bytes of format 1', async t => {
  const time = new VirtualTime()
  const machine = fromMemoryMachine(new Box(textBytes('state')), new MemoryVault(time.env('v')), time.env('m'))
  const wait = <T>(call: (done: Done<T>) => void): T => {
    const answers: T[] = []
    call((error, result) => {
      t.equal(error, null)
      answers.push(result)
    })
    time.until(() => answers.length > 0)
    return answers[0]!
  }
  wait<void>(done => machine.flush({ term: 2, index: 7 }, textBytes('side'), done))
  const source = wait<SnapshotSource | null>(done => machine.snapshot(done))!
  const bytes = toHex(wait<Uint8Array>(done => source.read(0, 1000, done)))
  t.equal(bytes.slice(0, 8), '00010002', 'format and kind')
  t.equal(
    bytes.slice(16),
    '0000000000000025' + // length of what the vault holds
      '0001000000000002000000000000000700000000000000010000000473696465' +
      '7374617465'
  )
  t.equal(Number.parseInt(bytes.slice(8, 16), 16), crcOfNode(Buffer.from(bytes.slice(16), 'hex')))
})

t.test('a vault in a file: a state of some size goes from one to the other, damage does not', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'stretto-vault-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'machine')
  const open = (box: Box, vault: Vault): StateMachine => fromMemoryMachine(box, vault, env)
  const state = new Uint8Array(1_000_000).map((_, at) => (at * at) >> 3)
  const machine = open(new Box(state), new FileVault(path))
  t.equal(await promised(done => machine.snapshot(done)), null)
  await promised<void>(done => machine.flush({ term: 2, index: 7 }, textBytes('side'), done))
  const [source] = await Promise.all([
    promised<SnapshotSource | null>(done => machine.snapshot(done)),
    promised<void>(done => machine.flush({ term: 2, index: 9 }, textBytes('later'), done))
  ])
  t.same(source?.last, { term: 2, index: 7 }, 'a flush waits until the one before has been read')
  const bytes = await promised<Uint8Array>(done => source!.read(0, source!.size, done))
  t.equal(crcOfNode(bytes), source!.hash)

  const target = join(folder, 'target')
  const sink = open(new Box(new Uint8Array(0)), new FileVault(target)).restore()
  for (let at = 0; at < bytes.length; at += 65_536) {
    await promised<void>(done => sink.write(bytes.subarray(at, at + 65_536), done))
  }
  await promised(done => sink.end(done))
  const restored = new Box(new Uint8Array(0))
  const other = open(restored, new FileVault(target))
  t.match(await promised(done => other.open(done)), { durable: { term: 2, index: 7 } })
  t.equal(Buffer.compare(restored.bytes, state), 0)

  const file = readFileSync(path)
  file[file.length >> 1]! ^= 1
  writeFileSync(path, file)
  await t.rejects(
    promised(done => machine.snapshot(done)),
    { code: 'CORRUPT' }
  )
})

t.test('a stream of another machine is refused at its beginning', async t => {
  const machine = fromMemoryMachine(new Box(new Uint8Array(0)), new MemoryVault(env), env)
  const sink = machine.restore()
  await t.rejects(
    promised<void>(done => sink.write(Uint8Array.of(0, 1, 0, 1, 0), done)),
    { code: 'CORRUPT' }
  )
  await t.rejects(
    promised(done => sink.end(done)),
    { code: 'CORRUPT' }
  )
})
