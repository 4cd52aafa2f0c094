// Which node is spoken to: discovery, the leader, failover, silence, nonsense, back-off.
import { t } from 'tap'
import { backOffMsMax } from '../../lib/client/endpoints.ts'
import { frameKind, readHello } from '../../lib/wire/client.ts'
import { ClientRig } from '../help/client-rig.ts'

const { command, hello, read } = frameKind

void t.test(
  'one endpoint is enough: members and leader are learnt, requests go to the leader, another link is warm',
  async t => {
    const rig = new ClientRig(5)
    rig.cluster.leader = 'n4'
    const db = rig.client({ name: 'tester', token: 'secret' }, ['127.0.0.1:7002'])
    rig.time.run(500)
    t.equal(rig.cluster.nodes.filter(node => node.links.size > 0).length, 0, 'nothing before the first call')
    await rig.settled(db.ready())
    rig.time.run(100)
    await rig.settled(db.put('k', 'v'))
    t.equal(rig.node('n4').kinds(command).length, 1)
    t.equal(rig.cluster.nodes.filter(node => node.links.size > 0).length, 2)
    t.match(readHello(rig.node('n4').kinds(hello)[0]!), { protocolMin: 1, name: 'tester', token: 'secret' })
    rig.cluster.elect('n5')
    rig.time.run(100)
    await rig.settled(db.put('k', 'w'))
    t.equal(rig.node('n5').kinds(command).length, 1, 'news moves the client')
    await rig.settled(db.close())
  }
)

void t.test('a leader out of reach: a follower takes the writes', async t => {
  const rig = new ClientRig()
  rig.time.run(1)
  rig.fabric.kill('n1')
  const db = rig.client()
  t.same(await rig.settled(db.put('k', 'v')), { revision: 2 })
  t.ok(rig.time.now < 300)
  await rig.settled(db.close())
})

void t.test('when the leader dies the warm link takes over at once', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  await rig.settled(db.put('k', 'v'))
  rig.node('n1').intercept = frame => frame[4] === command || frame[4] === read
  const calls = Promise.all([db.put('k', 'w'), db.get('k')])
  rig.time.run(10)
  rig.cluster.leader = 'n2'
  const diedAt = rig.time.now
  rig.fabric.kill('n1')
  await rig.settled(calls)
  t.ok(rig.time.now - diedAt < 20, `${rig.time.now - diedAt} ms`)
  rig.time.run(100)
  t.equal(rig.node('n2').links.size + rig.node('n3').links.size, 2, 'and a new one is warm')
  await rig.settled(db.close())
})

void t.test('a node that goes silent is given up; its leadership moves the client even sooner', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  rig.node('n1').mute = true
  const before = rig.time.now
  await rig.settled(db.put('k', 'v'))
  t.ok(rig.time.now - before <= 3600, `${rig.time.now - before} ms of silence`)
  rig.node('n1').mute = false
  rig.cluster.elect('n2')
  rig.time.run(3000)
  await rig.settled(db.put('k', 'v'))
  rig.node('n2').mute = true
  const call = db.put('k', 'w')
  rig.time.run(200)
  const news = rig.time.now
  rig.cluster.elect('n3')
  await rig.settled(call)
  t.ok(rig.time.now - news < 200, `${rig.time.now - news} ms after the news`)
  await rig.settled(db.close())
})

void t.test('what a second node thinks it knows at first does not outweigh the first', async t => {
  const rig = new ClientRig()
  rig.node('n3').leaderBelief = 'n3'
  const db = rig.client({}, ['127.0.0.1:7001'])
  await rig.settled(db.ready())
  rig.time.run(500)
  for (let call = 0; call < 10; call++) {
    await rig.settled(db.put('k', 'v'))
    rig.time.run(300)
  }
  t.equal(rig.node('n1').kinds(command).length, 10)
  await rig.settled(db.close())
})

void t.test('nonsense ends the link, and the client goes on elsewhere', async t => {
  const nonsense: Record<string, Uint8Array> = {
    'a length that is none': new Uint8Array([0, 0, 0, 3, 81, 0, 0, 0]),
    'a frame cut short': new Uint8Array([0, 0, 1, 0, 81, 0, 0, 0]),
    'an unknown kind': new Uint8Array([0, 0, 0, 8, 200, 0, 0, 0]),
    'a welcome of the wrong shape': new Uint8Array([0, 0, 0, 9, 80, 0, 0, 0, 0x90]),
    'an undecodable refusal': new Uint8Array([0, 0, 0, 9, 82, 0, 0, 0, 0xc1]),
    'an answer without a number': new Uint8Array([0, 0, 0, 8, 83, 0, 0, 0]),
    'a link refused': new Uint8Array([0, 0, 0, 16, 82, 0, 0, 0, 0x95, 0, 10, 0, 0xa1, 0x78, 0xc0, 0])
  }
  for (const [what, bytes] of Object.entries(nonsense)) {
    const rig = new ClientRig()
    const db = await rig.readyClient()
    const leader = rig.node('n1')
    let sent = 0
    leader.intercept = (frame, link) => {
      if (frame[4] !== command || sent++ > 0) return false
      link.link.send(bytes)
      return true
    }
    t.same(await rig.settled(db.put('k', 'v')), { revision: 2 }, what)
    t.equal(sent > 0, true)
    await rig.settled(db.close())
  }
})

void t.test('an answer of another kind than was asked for ends the link', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const leader = rig.node('n1')
  let wrong = 0
  leader.intercept = (frame, link) => {
    if (frame[4] !== command || wrong++ > 0) return false
    const answer = link.apply(frame)
    answer[4] = frameKind.answered
    link.link.send(answer)
    return true
  }
  t.same(await rig.settled(db.put('k', 'v')), { revision: 2 })
  t.equal(rig.cluster.store.executed.length, 1)
  await rig.settled(db.close())
})

void t.test('nodes of another cluster are not spoken to', async t => {
  const rig = new ClientRig(1)
  const other = new ClientRig(0)
  const db = await rig.readyClient()
  await rig.settled(db.put('k', 'v'))
  rig.cluster.clusterId = 'another'
  rig.node('n1').cut()
  t.match(await rig.rejection(db.put('k', 'w', { timeout: 500 })), { code: 'TIMED_OUT', message: /another cluster/ })
  t.equal(rig.cluster.store.executed.length, 1)
  t.equal(other.cluster.nodes.length, 0)
  rig.cluster.clusterId = 'c1'
  t.same(await rig.settled(db.put('k', 'x')), { revision: 3 })
  await rig.settled(db.close())
})

void t.test('a node that is not founded yet does not name the cluster, and is tried again', async t => {
  const rig = new ClientRig(1)
  rig.cluster.clusterId = ''
  const db = rig.client()
  const early = db.put('k', 'v', { timeout: 500 })
  t.match(await rig.rejection(early), { code: 'TIMED_OUT', fate: 'not-applied', message: /no cluster yet/ })
  const put = db.put('k', 'w')
  rig.time.run(1_000)
  rig.cluster.clusterId = 'c1'
  for (const node of rig.cluster.nodes) node.news()
  t.same(await rig.settled(put), { revision: 2 })
  await rig.settled(db.close())
})

void t.test('back-off: attempts grow rare, and the return of a node is noticed within a second', async t => {
  const rig = new ClientRig(1)
  const node = rig.node('n1')
  const db = await rig.readyClient()
  let closing = true
  node.intercept = (frame, link) => {
    if (frame[4] === hello && closing) link.link.close()
    return closing
  }
  const accepted = node.linksAccepted
  node.cut()
  rig.time.run(20_000)
  const attempts = node.linksAccepted - accepted
  t.ok(attempts >= 20 && attempts <= 60, `${attempts} attempts in 20 s`)
  closing = false
  const before = rig.time.now
  await rig.settled(db.put('k', 'v'))
  t.ok(rig.time.now - before <= backOffMsMax + 10)
  await rig.settled(db.close())
})

void t.test('a dial that hangs is not waited for: the next endpoint is tried beside it', async t => {
  const rig = new ClientRig()
  rig.time.run(1)
  rig.node('n1').mute = true
  rig.node('n2').mute = true
  rig.cluster.leader = 'n3'
  for (let seed = 0; seed < 3; seed++) {
    const db = rig.client()
    const before = rig.time.now
    await rig.settled(db.put('k', 'v'))
    t.ok(rig.time.now - before <= 320, `${rig.time.now - before} ms`)
    await rig.settled(db.close())
  }
})

void t.test('a node that refuses again and again is left for the other', async t => {
  const rig = new ClientRig()
  rig.cluster.leader = null
  const db = await rig.readyClient()
  const bad = rig.cluster.nodes.filter(node => node.links.size > 0)
  bad[0]!.intercept = (frame, link) => {
    if (frame[4] === command) link.refuse(frame, { code: 'UNAVAILABLE', retryAfterMs: 1 })
    return frame[4] === command
  }
  const before = rig.time.now
  t.same(await rig.settled(db.put('k', 'v')), { revision: 2 })
  t.ok(rig.time.now - before < 200)
  await rig.settled(db.close())
})

void t.test('both nodes spoken to know of no leader and refuse: the client finds the others', async t => {
  const rig = new ClientRig(5)
  rig.cluster.leader = null
  const db = await rig.readyClient()
  const cutOff = rig.cluster.nodes.filter(node => node.links.size > 0)
  t.equal(cutOff.length, 2)
  for (const node of cutOff) {
    node.intercept = (frame, link) => {
      if (frame[4] === command) link.refuse(frame, { code: 'UNAVAILABLE', retryAfterMs: 1 })
      return frame[4] === command
    }
  }
  const before = rig.time.now
  t.same(await rig.settled(db.put('k', 'v')), { revision: 2 })
  t.ok(rig.time.now - before < 1_000, `${rig.time.now - before} ms`)
  await rig.settled(db.close())
})

void t.test('members that left are forgotten, and new ones found', async t => {
  const rig = new ClientRig()
  const db = rig.client({}, ['127.0.0.1:7001'])
  await rig.settled(db.ready())
  rig.time.run(100)
  const [, second, third] = rig.cluster.nodes
  rig.cluster.nodes.splice(1, 2)
  rig.cluster.elect('n1')
  rig.fabric.kill('n2')
  rig.fabric.kill('n3')
  rig.time.run(10_000)
  const dials = second!.linksAccepted + third!.linksAccepted
  t.ok(dials <= 2, 'nobody dials those that left')
  await rig.settled(db.put('k', 'v'))
  await rig.settled(db.close())
})
