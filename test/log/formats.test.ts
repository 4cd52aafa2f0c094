// The formats on disk, byte for byte: a release that would write other bytes fails here first.
import { readFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { t } from 'tap'
import { fromHex, toHex } from '../../lib/base/bytes.ts'
import { StrettoError } from '../../lib/base/errors.ts'
import { isStateName, nameOfState, readBase, writeBase } from '../../lib/log/base-record.ts'
import { OpenError, openFault } from '../../lib/log/faults.ts'
import { baseKey, blockBound, blockKey, blocksEnd, cardOf, readBlockKey } from '../../lib/log/keys.ts'
import { readMemory, slotBytesMax, writeMemory } from '../../lib/log/memory.ts'
import { readBlock } from '../../lib/record/block.ts'
import { block, endOf, membership, membershipBlock } from '../help/log-blocks.ts'

const golden = (name: string): string => {
  const text = readFileSync(new URL(`golden/${name}.hex`, import.meta.url), 'utf8')
  return text.replaceAll(/\s/g, '')
}

const memory = {
  id: 'n1',
  incarnation: '00000000000000aa',
  clusterId: '0123456789abcdef0123456789abcdef',
  boot: 3,
  hard: { term: 7, vote: 'n2.00000000000000bb' },
  mark: { index: 1234, term: 6, chain: 0xdeadbeef }
}
const base = { index: 5_000_000_000, term: 9, chain: 0xcafebabe, membership, machineVersion: 2, state: 12 }
const clusterId = memory.clusterId

t.test('a slot', async t => {
  const slot = new Uint8Array(slotBytesMax)
  writeMemory(slot, memory, 41)
  t.equal(toHex(slot), golden('slot') + '00'.repeat(slotBytesMax - golden('slot').length / 2))
  t.same(readMemory(fromHex(golden('slot'))!), { sequence: 41, memory })
})

t.test('the base record', async t => {
  t.equal(toHex(writeBase({ base, clusterId })), golden('base'))
  const bytes = fromHex(golden('base'))!
  t.same(readBase(bytes), { base, clusterId })
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const hurt = bytes.slice()
    hurt[bit >> 3]! ^= 1 << (bit & 7)
    if (!(readBase(hurt) instanceof OpenError)) t.fail(`bit ${bit} is not seen`)
  }
  const newer = bytes.slice()
  newer[5] = 2
  new DataView(newer.buffer).setUint32(0, crc32(newer.subarray(4)))
  t.match(readBase(newer), { fault: 'newer-format' })
  t.match(readBase(new Uint8Array(3)), { fault: 'corrupt' })
})

t.test('keys, in the order of the log', async t => {
  const first = block({ index: 254, term: 3, chain: 5 }, 3, 2)
  const second = membershipBlock(endOf(first), 4, 9)
  const keys = [
    baseKey(),
    blockBound(255),
    blockKey(cardOf(first)),
    blockBound(257),
    blockKey(cardOf(second)),
    blocksEnd()
  ]
  t.equal(keys.map(toHex).join(''), golden('keys'))
  t.same(keys.map(toHex), keys.map(toHex).toSorted())
  t.same(readBlockKey(keys[2]!), cardOf(first))
  t.same(readBlockKey(keys[4]!), { ...cardOf(second), membership: true })
  for (const key of [keys[0]!, keys[1]!, new Uint8Array(28)]) t.equal(readBlockKey(key), null)
})

t.test('a block', async t => {
  const written = block({ index: 254, term: 3, chain: 5 }, 3, 2)
  t.equal(toHex(written.bytes), golden('block'))
  t.same(readBlock(fromHex(golden('block'))!)?.chain, written.chain)
  // Who writes blocks of a later format writes a base record of one before, so this is never taken for a torn tail.
  const newer = fromHex(golden('block'))!
  newer[5] = 2
  t.equal(readBlock(newer), null)
})

t.test('a later format beside the log, in the words of the room that met it', async t => {
  const met = new StrettoError('BAD_REQUEST', 'the state is written in format 2')
  t.match(openFault('the log', met), { fault: 'newer-format', code: 'BAD_REQUEST', message: met.message })
})

t.test('state directories', async t => {
  t.equal(nameOfState(7), 'state-7')
  for (const name of ['state-1', 'state-20']) t.ok(isStateName(name))
  for (const name of ['state-0', 'state-', 'state-1x', 'log', 'state-01']) t.notOk(isStateName(name))
})
