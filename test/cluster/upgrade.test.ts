// A rolling upgrade of real processes under load: nodes of an older program give way one by one, and none comes back.
import { t } from 'tap'
import { Load } from '../help/load.ts'
import { programOf, RealCluster, statusOnce } from '../help/real-cluster.ts'
import { runCli } from '../help/run-cli.ts'

t.setTimeout(120_000)

const [older, newer] = [programOf(1), programOf(2)]

t.test('no call fails, and the new rules come into force with the last of the old nodes gone', async t => {
  const cluster = await RealCluster.start(t, { programs: { n1: older, n2: older, n3: older } })
  const load = new Load(cluster.client(), 4)
  const { cluster: members } = cluster.client()
  const runs = async () => (await members.machineVersions()).voters.map(({ id, max }) => `${id} ${max}`).toSorted()
  const versions = async () => Promise.all(cluster.ids.map(async id => (await cluster.status(id)).machineVersion))
  const upgrade = async (id: string): Promise<void> => {
    t.match(await cluster.node(id).stop(), { code: 0 })
    await cluster.start(id, { program: newer }).ready()
    await load.more(200)
  }

  await load.more(200)
  t.same(await runs(), ['n1 1', 'n2 1', 'n3 1'])
  for (const id of await cluster.followers()) await upgrade(id)
  t.same(await versions(), [1, 1, 1], 'one of the old program is left')
  await upgrade((await cluster.leader()).id)
  await Promise.all(
    cluster.ids.map(id => statusOnce(cluster.address(id), ({ machineVersion }) => machineVersion === 2))
  )
  t.same(await runs(), ['n1 2', 'n2 2', 'n3 2'])
  await load.more(200)
  await load.stop()
  t.same(load.errors, [], 'no call failed')
  t.same(await load.audit(cluster.client()), { lost: 0, miscounted: [] })

  const [back, other] = (await cluster.followers()) as [string, string]
  await cluster.node(back).stop()
  const old = cluster.start(back, { program: older })
  const { msg } = await old.line(({ event }) => event === 'finding')
  t.equal(
    msg,
    'machine version 2 is asked for, and this program runs up to 1: nothing is applied here any more',
    'an old program put back says in one line what it lacks'
  )
  t.match(await cluster.status(back), { ready: false, reasons: [/machine version 2/], role: 'follower' })
  await cluster.node(other).kill()
  const { revision } = await cluster.client().put('by two', 'of which one votes only', { timeout: '30s' })
  t.ok(revision > 0)
  await old.stop()
  await cluster.start(back, { program: newer }).ready()
  t.equal((await cluster.clientOf(back).get('by two'))?.value, 'of which one votes only', 'and the new one goes on')
})

t.test('an operator need not wait for a voter of the old program', async t => {
  const cluster = await RealCluster.start(t, { programs: { n1: newer, n2: newer, n3: older } })
  const { cluster: members } = cluster.client()
  await members.transferLeader('n1')
  const cli = (...args: string[]) =>
    runCli(['upgrade', ...args, '--endpoints', cluster.endpoints.join(','), '-o', 'table'])
  const waiting = await cli()
  t.match(waiting.out, /^machine version 1 is in force\n(.|\n)*^n3 +runs up to 1\na higher one waits for n3\n$/m)
  const forced = await cli('--force')
  t.match(forced, {
    code: 0,
    out: /^machine version 2 is in force\n(.|\n)*^n3 +runs up to 1: it votes and holds the log/m
  })
  t.match(await statusOnce(cluster.address('n3'), ({ ready }) => !ready), { machineVersion: 1, leader: 'n1' })
  await cluster.node('n2').kill()
  await cluster.client().put('by two', 'of which one votes only', { timeout: '30s' })
})
