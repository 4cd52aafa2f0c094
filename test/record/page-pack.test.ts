// What packs in a web page packs as on a node: the same bytes, the same values, the same refusals.
import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { depthMax, type Packed, pack, unpack } from '../../lib/record/pack.ts'
import * as page from '../../lib/record/page-pack.ts'

const edges = [0x1f, 0x20, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, 2 ** 53 - 1]
const number = fc.oneof(
  fc.constantFrom(...edges, ...edges.map(edge => -edge), ...edges.map(edge => -edge - 1), -0, 0.5),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true })
)
const bytes = fc.uint8Array({ maxLength: 300 }).map(each => new Uint8Array(each))
const { value } = fc.letrec<{ value: Packed }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    number,
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.boolean(),
    fc.constant(null),
    bytes,
    fc.array(tie('value'), { maxLength: 20 })
  )
}))

function read(unpacker: (bytes: Uint8Array) => Packed, packed: Uint8Array): unknown {
  try {
    return { value: plain(unpacker(packed)) }
  } catch (error) {
    return { refused: (error as Error).message }
  }
}

/** Views of any kind as the bytes in them. */
function plain(value: Packed): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  return Array.isArray(value) ? value.map(each => plain(each as Packed)) : value
}

t.test('values become the same bytes, and the bytes the same values', async () => {
  const property = fc.property(value, fc.nat({ max: 255 }), (value, reserve) => {
    const packed = pack(value, reserve)
    deepStrictEqual(Buffer.from(page.pack(value, reserve).subarray(reserve)), Buffer.from(packed.subarray(reserve)))
    deepStrictEqual(read(page.unpack, packed.subarray(reserve)), read(unpack, packed.subarray(reserve)))
  })
  fc.assert(property, { numRuns: 1000 })
})

t.test('long texts, bytes and lists', async () => {
  for (const length of [255, 256, 65_535, 65_536, 100_000]) {
    for (const value of ['x'.repeat(length), new Uint8Array(length), Array.from({ length }, () => 1)]) {
      deepStrictEqual(Buffer.from(page.pack(value)), Buffer.from(pack(value)))
      deepStrictEqual(plain(page.unpack(pack(value))), plain(unpack(pack(value))))
    }
  }
})

t.test('bytes of any kind are read alike, or refused by both', async t => {
  const token = fc.constantFrom(...Array.from({ length: 256 }, (_, at) => at))
  const some = fc.oneof(
    fc.array(token, { maxLength: 12 }).map(each => Uint8Array.from(each)),
    // The bytes of a value, one of them changed, or some of them missing.
    fc.tuple(value, fc.nat(), token).map(([value, at, byte]) => {
      const packed = pack(value).slice()
      packed[at % packed.length] = byte
      return packed
    }),
    fc.tuple(value, fc.nat()).map(([value, at]) => pack(value).slice(0, at))
  )
  const isRefused = (one: unknown): boolean => 'refused' in (one as object)
  const property = fc.property(some, packed => {
    const [here, there] = [read(page.unpack, packed), read(unpack, packed)]
    if (isRefused(here) || isRefused(there)) deepStrictEqual(isRefused(here), isRefused(there))
    else deepStrictEqual(here, there)
  })
  fc.assert(property, { numRuns: 2000 })
  let deep: Packed = [1]
  for (let depth = 1; depth < depthMax; depth++) deep = [deep]
  t.same(page.unpack(pack(deep)), deep)
  t.throws(() => page.unpack(Uint8Array.of(0x91, ...pack(deep))), { code: 'BAD_REQUEST', message: /too deeply/ })
  t.throws(() => unpack(Uint8Array.of(0x91, ...pack(deep))), { code: 'BAD_REQUEST' })
})
