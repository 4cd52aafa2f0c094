// Members come and go while a client writes: joined, promoted, removed, replaced, and refused where that would be unsafe.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { t } from 'tap'
import { freePorts } from '../../bin/local-cluster.ts'
import type { MemberStatus } from '../../lib/client/client.ts'
import { Load } from '../help/load.ts'
import { ask, NodeProcess, RealCluster, statusOnce } from '../help/real-cluster.ts'
import { runCli, type Said } from '../help/run-cli.ts'

t.setTimeout(120_000)

const callers = 2

function membersIn(said: Said): string[] {
  const lines = said.out.split('\n').filter(line => line !== '')
  return lines.map(line => JSON.parse(line) as MemberStatus).map(({ id, role }) => `${id} ${role}`)
}

t.test('a cluster whose members change under load', async t => {
  const cluster = await RealCluster.start(t)
  const [port, another] = await freePorts(2)
  const addresses = new Map(cluster.addresses).set('n4', `127.0.0.1:${port}`).set('n5', `127.0.0.1:${another}`)
  const endpoints = [...addresses.values()].join(',')
  const cli = (...args: string[]): Promise<Said> => runCli([...args, '--endpoints', endpoints, '-o', 'json'])
  const outsiders: NodeProcess[] = []
  t.teardown(() => Promise.all(outsiders.map(node => node.kill())))
  const knock = (id: string, ...more: string[]): NodeProcess => {
    const [listen, others] = [addresses.get(id)!, [...addresses.values()].filter(one => one !== addresses.get(id))]
    const place = ['--id', id, '--listen', listen, '--data-dir', join(cluster.directory, id)]
    const args = ['--join', others.join(','), '--peer-secret-file', cluster.secretFile, ...more]
    const node = new NodeProcess([...place, ...args])
    outsiders.push(node)
    return node
  }
  const isVoter = (id: string) =>
    statusOnce(addresses.get(id)!, ({ role, members }) => {
      return role !== 'learner' && members.some(member => member.id === id && member.role === 'voter')
    })

  const db = cluster.client()
  const load = new Load(db, callers)
  t.teardown(() => void load.stop())
  await load.more(100)

  await knock('n4').ready()
  await isVoter('n4')
  await load.more(100)
  t.same(membersIn(await cli('members', 'list')).toSorted(), ['n1 voter', 'n2 voter', 'n3 voter', 'n4 voter'])

  const follower = knock('n5', '--learner')
  await follower.ready()
  const before = await db.cluster.members()
  const { cluster: members } = db
  const failed = (message: RegExp) => ({ code: 'CONDITION_FAILED', fate: 'not-applied', message })
  await t.rejects(members.removeMember('n9'), failed(/^no member n9$/))
  await t.rejects(members.addMember('n2', '127.0.0.1:9'), failed(/^n2 is a member already, at /))
  await t.rejects(members.addMember('n6', addresses.get('n2')!), failed(/is the address of n2$/))
  await t.rejects(members.replaceMember('n2', { timeout: 400 }), failed(/^no node n2 with another disk is waiting/))
  await t.rejects(members.promote('n9'), failed(/^no member n9$/))
  await t.rejects(members.transferLeader('n5'), failed(/^n5 is a learner$/))
  const unchanged = await db.cluster.members()
  const named = (all: readonly MemberStatus[]) => all.map(({ id, incarnation, role }) => `${id} ${incarnation} ${role}`)
  t.same(named(unchanged), named(before), 'what is refused changes nothing')
  t.equal(before.find(({ id }) => id === 'n5')?.role, 'learner', 'who is to stay a learner does')

  const { id: leader } = await cluster.leader()
  t.match(await members.plan({ remove: leader }), { tolerates: 1, toleratesAfter: 1, refused: null })
  const removed = await cli('members', 'remove', leader)
  t.equal(removed.code, 0, removed.err)
  t.notOk(membersIn(removed).some(member => member.startsWith(`${leader} `)))
  t.match(await cluster.node(leader).ended, { code: 1 })
  t.match(cluster.node(leader).err, /^stretto start: n\d has been removed from the cluster: .* empty data directory/)
  await load.more(100)

  const lost = cluster.ids.find(id => id !== leader)!
  await cluster.node(lost).kill()
  rmSync(cluster.dataDir(lost), { recursive: true })
  const wiped = knock(lost)
  await wiped.line(({ event, msg }) => event === 'waiting' && msg.includes(`'members replace ${lost}'`))
  const readyz = await ask(addresses.get(lost)!, '/readyz')
  t.match(readyz, { status: 503, text: /waiting to be admitted to the cluster at / })
  const left = cluster.ids.find(id => id !== leader && id !== lost)!
  await t.rejects(members.removeMember(left), failed(/would have no healthy majority: n\d not heard$/))
  const replaced = await cli('members', 'replace', lost)
  t.equal(replaced.code, 0, replaced.err)
  await wiped.ready()
  await isVoter(lost)
  t.equal(await members.transferLeader(lost), lost)
  await load.more(100)

  await load.stop()
  t.same(load.errors, [], 'no call of the client has failed')
  t.match(await load.audit(db), { lost: 0, miscounted: [] })
})
