// Calls about the members: they find the leader, are repeated until it answers, and tell their fate; and a client whose
// cluster is replaced around it, node by node.
import { t } from 'tap'
import type { Client } from '../../lib/client/kv-client.ts'
import type { Packed } from '../../lib/record/pack.ts'
import { MemoryNet } from '../../lib/transport/memory-net.ts'
import type { AdminFrame } from '../../lib/wire/admin.ts'
import { packMembers, packPlan, packVersions, readAdmin, writeSettled } from '../../lib/wire/admin.ts'
import { frameKind, writeRefused } from '../../lib/wire/client.ts'
import { ClientRig } from '../help/client-rig.ts'
import type { ModelNode, Refusal } from '../help/model-cluster.ts'

const n1 = {
  id: 'n1',
  incarnation: '0'.repeat(16),
  address: '127.0.0.1:7001',
  role: 'voter',
  leader: true,
  silentMs: 0,
  lacks: 0
} as const

type Answers = (frame: AdminFrame) => Packed | (Refusal & { readonly text: string }) | null

/** Lets the node answer admin frames; null for silence. What it was asked is kept. */
function answering(node: ModelNode, answer: Answers): AdminFrame[] {
  const asked: AdminFrame[] = []
  node.intercept = (frame, { link }) => {
    if (frame[4] !== frameKind.admin) return false
    const read = readAdmin(frame)
    asked.push(read)
    const result = answer(read)
    if (result === null) return true
    const { number } = read
    if (typeof result === 'object' && 'code' in result) {
      const { code, fate = 'not-applied', text, retryAfterMs = null } = result
      link.send(writeRefused({ number, code, fate, text, retryAfterMs }))
    } else link.send(writeSettled(number, result))
    return true
  }
  return asked
}

const notLeader = { code: 'NOT_LEADER', text: 'this node does not lead' } as const
const members = packMembers([n1])

t.test('each call asks for what it says, and brings what was answered', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const asked = answering(rig.node('n1'), ({ request }) => {
    const [op] = request as readonly Packed[]
    if (op === 'transfer') return 'n2'
    if (op === 'upgrade') return packVersions({ inForce: 2, voters: [{ id: 'n1', max: 2 }] })
    if (op !== 'plan') return members
    return packPlan({
      voters: ['n1'],
      votersAfter: [],
      tolerates: 0,
      toleratesAfter: 0,
      toleratesNow: 0,
      toleratesNowAfter: 0,
      refused: 'the last voter cannot be removed',
      risks: []
    })
  })
  const { cluster } = db
  const address = '127.0.0.1:7004'
  const lists = [
    cluster.members(),
    cluster.addMember('n4', address),
    cluster.addMember('n4', address, { learner: true, timeout: '2s' }),
    cluster.removeMember('n4'),
    cluster.promote('n4'),
    cluster.replaceMember('n4'),
    cluster.replaceMember('n4', { address })
  ]
  for (const list of lists) t.same(await rig.settled(list), [n1])
  t.equal(await rig.settled(cluster.transferLeader()), 'n2')
  t.equal(await rig.settled(cluster.transferLeader('n2')), 'n2')
  const versions = { inForce: 2, voters: [{ id: 'n1', max: 2 }] }
  t.same(await rig.settled(cluster.machineVersions()), versions)
  t.same(await rig.settled(cluster.forceUpgrade()), versions)
  t.match(await rig.settled(cluster.plan({ remove: 'n1' })), { voters: ['n1'], refused: /last voter/ })
  t.same(
    asked.map(({ request }) => request),
    [
      ['members'],
      ['add', 'n4', address, false],
      ['add', 'n4', address, true],
      ['remove', 'n4'],
      ['promote', 'n4', false],
      ['replace', 'n4', null],
      ['replace', 'n4', address],
      ['transfer', null],
      ['transfer', 'n2'],
      ['upgrade', false],
      ['upgrade', true],
      ['plan', ['remove', 'n1']]
    ]
  )
  t.equal(asked[2]!.patienceMs, 2_000)
  await rig.settled(db.close())
})

t.test('faults of a call reject before anything is sent', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const asked = answering(rig.node('n1'), () => members)
  for (const call of [
    () => db.cluster.removeMember('../n4'),
    () => db.cluster.addMember('n4', 'somewhere'),
    () => db.cluster.promote('n4', { timout: '1s' } as object)
  ]) {
    t.match(await rig.rejection(call()), { code: 'BAD_REQUEST', fate: 'not-applied' })
  }
  t.equal(asked.length, 0)
  await rig.settled(db.close())
})

t.test('a node that does not lead refuses, and the call goes to the leader', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const first = answering(rig.node('n1'), () => notLeader)
  const second = answering(rig.node('n2'), () => members)
  const call = db.cluster.removeMember('n3')
  rig.time.run(50)
  t.ok(first.length > 0)
  rig.cluster.elect('n2')
  t.same(await rig.settled(call), [n1])
  t.equal(second[0]!.again, false, 'what was refused has not been done')
  await rig.settled(db.close())
})

t.test('an answer that is lost with its link is asked for again, and the next leader is told so', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const first = answering(rig.node('n1'), () => null)
  const second = answering(rig.node('n2'), () => members)
  answering(rig.node('n3'), () => notLeader)
  const call = db.cluster.removeMember('n1')
  rig.time.run(20)
  t.match(first, [{ again: false }])
  rig.cluster.leader = 'n2'
  rig.fabric.kill('n1')
  for (const node of rig.cluster.nodes) node.news()
  t.same(await rig.settled(call), [n1])
  t.equal(second[0]!.again, true)
  await rig.settled(db.close())
})

t.test('a refusal for good is told as it came; a deadline tells whether it may have been done', async t => {
  const rig = new ClientRig(1)
  const db = await rig.readyClient()
  const refusal = { code: 'CONDITION_FAILED', text: 'no member n9' } as const
  answering(rig.node('n1'), () => refusal)
  t.match(await rig.rejection(db.cluster.removeMember('n9')), { ...refusal, text: undefined, message: refusal.text })
  answering(rig.node('n1'), () => ({ ...notLeader, text: 'an election is under way' }))
  t.match(await rig.rejection(db.cluster.promote('n2', { timeout: 300 })), {
    code: 'TIMED_OUT',
    fate: 'not-applied',
    message: /an election is under way/
  })
  answering(rig.node('n1'), () => null)
  t.match(await rig.rejection(db.cluster.promote('n2', { timeout: 300 })), { code: 'TIMED_OUT', fate: 'unknown' })
  const signal = new AbortController()
  const given = db.cluster.promote('n2', { signal: signal.signal })
  rig.time.run(10)
  signal.abort(new Error('enough'))
  t.match(await rig.rejection(given), { message: 'enough' })
  await rig.settled(db.close())
  t.match(await rig.rejection(db.cluster.members()), { code: 'STOPPED' })
})

t.test('closing waits for what was asked', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  answering(rig.node('n1'), () => members)
  const call = db.cluster.members()
  const closed = db.close()
  t.same(await rig.settled(call), [n1])
  await rig.settled(closed)
})

t.test('an answer that is none ends the link, and the call is asked again', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const asked = answering(rig.node('n1'), ({ again }) => (again ? members : 'nonsense'))
  answering(rig.node('n2'), () => notLeader)
  answering(rig.node('n3'), () => notLeader)
  t.same(await rig.settled(db.cluster.members()), [n1])
  t.ok(asked.length > 1)
  await rig.settled(db.close())
})

/** Another node comes, and the others are told. */
function admit(rig: ClientRig, id: string, address: string): void {
  const net = new MemoryNet(rig.fabric, rig.time.env(`${id}@${address}`), `${id}@${address}`)
  rig.cluster.add(net, id, address)
  for (const node of rig.cluster.nodes) node.news()
}

/** A node goes, the others are told, and it is never reached again. */
function dismiss(rig: ClientRig, gone: ModelNode, host: string): void {
  rig.cluster.nodes.splice(rig.cluster.nodes.indexOf(gone), 1)
  if (rig.cluster.leader === gone.id) rig.cluster.leader = rig.cluster.nodes.at(-1)!.id
  for (const node of rig.cluster.nodes) node.news()
  rig.time.run(20)
  gone.mute = true
  rig.fabric.kill(host)
}

async function writes(db: Client<string>, rig: ClientRig, key: string): Promise<void> {
  await rig.settled(db.put(key, 'v'), 2_000)
}

t.test('a client that was given one node survives the replacement of every node', async t => {
  const rig = new ClientRig()
  const db = rig.client({}, ['127.0.0.1:7001'])
  await writes(db, rig, 'first')
  rig.time.run(100)
  const originals = [...rig.cluster.nodes]
  for (const [at, original] of originals.entries()) {
    admit(rig, `n${at + 4}`, `127.0.0.1:700${at + 4}`)
    rig.time.run(200)
    dismiss(rig, original, original.id)
    await writes(db, rig, `after ${original.id}`)
    rig.time.run(2_000)
  }
  t.same(
    rig.cluster.nodes.map(({ id }) => id),
    ['n4', 'n5', 'n6']
  )
  rig.cluster.elect('n5')
  rig.time.run(200)
  await writes(db, rig, 'last')
  t.equal(rig.cluster.store.executed.length, 5)
  t.ok(rig.node('n5').kinds(frameKind.command).length > 0)
  await rig.settled(db.close())
})

t.test('a node that moves to another address under its own id is found there', async t => {
  const rig = new ClientRig(1)
  const db = rig.client({}, ['127.0.0.1:7001'])
  await writes(db, rig, 'first')
  admit(rig, 'n2', '127.0.0.1:7002')
  rig.time.run(500)
  const old = rig.node('n2')
  rig.cluster.nodes.splice(1, 1)
  rig.fabric.kill('n2@127.0.0.1:7002')
  rig.time.run(500)
  admit(rig, 'n2', '127.0.0.1:7012')
  rig.time.run(2_000)
  t.equal(rig.node('n2').linksAccepted, 1, 'it is dialled at its new place')
  dismiss(rig, rig.node('n1'), 'n1')
  await writes(db, rig, 'last')
  t.equal(rig.node('n2').kinds(frameKind.command).length, 1)
  t.equal(old.kinds(frameKind.command).length, 0)
  await rig.settled(db.close())
})
