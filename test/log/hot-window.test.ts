// The hot window: bounded in bytes, found by index, and never without what no disk has yet.
import fc from 'fast-check'
import { t } from 'tap'
import { Catalogue } from '../../lib/log/catalogue.ts'
import { foundingBase } from '../../lib/log/found-log.ts'
import { HotWindow } from '../../lib/log/hot-window.ts'
import { cardOf } from '../../lib/log/keys.ts'
import { type Block, lastOf } from '../../lib/raft/types.ts'
import { block, chainOf, endOf, founding } from '../help/log-blocks.ts'

const base = foundingBase(founding)

t.test('finds blocks by any of their records, until the bytes are reached', async t => {
  const window = new HotWindow(1_000_000)
  t.equal(window.from(1, 100), null)
  const blocks = chainOf(base, 1, 200)
  for (const block of blocks) window.push(block)
  for (const [at, block] of blocks.entries()) {
    for (let index = block.first; index <= lastOf(block); index++) {
      t.equal(window.from(index, 1)?.[0], block)
      t.equal(window.from(index, block.bytes.length)?.length, 1)
      const two = block.bytes.length + (blocks[at + 1]?.bytes.length ?? 0)
      t.equal(window.from(index, two)?.length, at === 199 ? 1 : 2)
    }
  }
  t.equal(window.from(lastOf(blocks[199]!) + 1, 1), null)
  t.equal(window.from(0, 1), null)
})

t.test('lets go of the oldest beyond its bound, but of nothing that is not durable', async t => {
  const blocks = chainOf(base, 1, 30)
  const window = new HotWindow(500)
  for (const block of blocks) window.push(block)
  window.trim(0)
  t.equal(window.from(1, 1)?.[0], blocks[0])
  window.trim(lastOf(blocks[9]!))
  t.equal(window.from(lastOf(blocks[9]!), 1), null)
  t.equal(window.from(blocks[10]!.first, 1)?.[0], blocks[10])
  window.trim(lastOf(blocks[29]!))
  t.ok(window.bytes <= 500 && window.bytes > 0)
  t.equal(window.from(lastOf(blocks[29]!), 1)?.[0], blocks[29])
})

t.test('window and catalogue agree with an array over appends, cuts and drops', async t => {
  const action = fc.tuple(fc.constantFrom('push', 'push', 'push', 'cut', 'drop'), fc.nat(400))
  const property = fc.property(fc.array(action, { maxLength: 120 }), actions => {
    const window = new HotWindow(Number.POSITIVE_INFINITY)
    const catalogue = new Catalogue(base)
    let model: Block[] = []
    let start = { index: base.index, term: base.term, chain: base.chain }
    for (const [kind, number] of actions) {
      if (kind === 'push') {
        for (let more = 0; more <= number; more++) {
          const last = model.at(-1)
          const next = block(
            last === undefined ? start : endOf(last),
            1 + Math.floor(model.length / 7),
            1 + (number % 3),
            1
          )
          model.push(next)
          window.push(next)
          catalogue.push(cardOf(next))
        }
      } else {
        const at = number % (model.length + 1)
        const ends = at === 0 ? start : endOf(model[at - 1]!)
        if (kind === 'cut') {
          model = model.slice(0, at)
          window.cutAfter(ends.index)
          catalogue.cutAfter(ends.index)
        } else {
          model = model.slice(at)
          start = ends
          window.dropThrough(ends.index)
          catalogue.dropThrough(ends)
        }
      }
      let bytes = 0
      for (const {
        bytes: { length }
      } of model)
        bytes += length
      if (window.bytes !== bytes || catalogue.bytes !== bytes || catalogue.end - catalogue.head !== model.length)
        return false
      const probe = model[number % Math.max(1, model.length)]
      if (probe === undefined) continue
      if (window.from(probe.first, 1)?.[0] !== probe) return false
      const row = catalogue.rowOf(lastOf(probe))
      if (catalogue.card(row).chain !== probe.chain || catalogue.termAt(probe.first) !== probe.term) return false
      if (catalogue.beforeOf(row).chain !== probe.previousChain) return false
    }
    return true
  })
  fc.assert(property, { numRuns: 40 })
  t.pass()
})
