// Which lists of nodes a data directory fits.
import { t } from 'tap'
import { foreignCluster } from '../../lib/server/foreign-cluster.ts'

function judge(list: Readonly<Record<string, string>>, log: Readonly<Record<string, string>>, id = 'a'): string | null {
  const members = Object.entries(log).map(([id, address]) => ({ id, address, incarnation: '01', key: `${id}.01` }))
  return foreignCluster({ id, cluster: new Map(Object.entries(list)) }, { members })
}

const three = { a: 'h:1', b: 'h:2', c: 'h:3' }

t.test('a list that is that of the log, or old in part, fits', async t => {
  t.equal(judge(three, three), null)
  t.equal(judge({ a: 'h:9' }, three), null, 'a list of this node alone')
  t.equal(judge({ ...three, a: 'h:9' }, three), null, 'this node has moved')
  t.equal(judge({ ...three, b: 'h:8', c: 'h:9' }, three), null, 'the others have moved')
  t.equal(judge({ a: 'h:1', b: 'h:2' }, { b: 'h:2', d: 'h:4' }), null, 'this node has left since')
  t.equal(judge(three, { a: 'h:1', c: 'h:3', d: 'h:4' }), null, 'one has been replaced')
  t.equal(judge(three, {}), null, 'this node has joined and heard of nobody yet')
})

t.test('a list of other nodes does not', async t => {
  t.equal(
    judge(three, { a: 'h:1' }),
    'the data directory belongs to the cluster a=h:1, not to a=h:1,b=h:2,c=h:3: choose another by --data-dir'
  )
  t.match(judge(three, { a: 'h:7', b: 'h:8', c: 'h:9' }), String, 'the same ids elsewhere')
  t.match(judge(three, { a: 'h:1', x: 'h:8', y: 'h:9' }), String, 'this node among others')
})
