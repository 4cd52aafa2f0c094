// The rule by which an opened log is believed: the promised record must stand there, and the state must lie within.
import { t } from 'tap'
import { Catalogue } from '../../lib/log/catalogue.ts'
import { cardOf } from '../../lib/log/keys.ts'
import { distrust, hollowness } from '../../lib/log/trust.ts'
import { chainOf, endOf } from '../help/log-blocks.ts'

const start = { index: 10, term: 1, chain: 5 }
const blocks = chainOf(start, 2, 3)
const catalogue = new Catalogue(start)
for (const block of blocks) catalogue.push(cardOf(block))
const mark = endOf(blocks[1]!)

t.test('the mark', async t => {
  t.same(distrust(catalogue, mark, null), [])
  t.same(distrust(catalogue, start, null), [])
  t.same(distrust(catalogue, { index: 9, term: 9, chain: 9 }, null), [], 'below the base the state answers for it')
  for (const other of [
    { ...mark, term: mark.term - 1 },
    { ...mark, chain: mark.chain ^ 1 },
    { ...mark, index: mark.index - 1 },
    { ...start, chain: 6 },
    { ...start, term: 0 }
  ]) {
    t.match(distrust(catalogue, other, null), [/another record at \d+ than was promised/])
  }
  t.match(distrust(catalogue, { ...mark, index: 17 }, null), [/the log ends at 16@2, but 17@2 was promised/])
})

t.test('the state', async t => {
  for (const state of [start, { index: 12, term: 2 }, catalogue.tail]) t.same(distrust(catalogue, mark, state), [])
  t.same(
    distrust(catalogue, mark, { index: 9, term: 1 }),
    [],
    'a state that ends before the log begins says nothing of the log'
  )
  t.match(hollowness(catalogue, { index: 9, term: 1 }), /^the state contains only 9@1, but the log begins after/)
  for (const state of [start, catalogue.tail, null]) t.equal(hollowness(catalogue, state), null)
  t.equal(distrust(catalogue, mark, { index: 12, term: 1 }).length, 1)
  t.equal(distrust(catalogue, { ...mark, index: 99 }, { index: 17, term: 2 }).length, 2)
})
