// Heartbeats go on while a disk hangs: only the leader itself can tell, and who is to lead is one whose disk does better.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import type { SimNode } from '../../../lib/sim/node/sim-node.ts'
import { Scene } from '../../help/scene.ts'

export async function scenario(): Promise<void> {
  await oneHangs()
  await allHang()
  await nobodyElseIsLeft()
}

/** The disks of the leader and of one follower hang, while somebody writes; then the new leader dies. */
async function oneHangs(): Promise<void> {
  const scene = new Scene({ seed: 31, nodes: 7 })
  const sick = await scene.elect()
  await scene.write(sick)
  const [other, ...well] = scene.others(sick) as [SimNode, ...SimNode[]]
  for (const { disk } of [sick, other]) disk.knobs.hungUntil = scene.now + 20_000
  await scene.write(sick, scene.draft('y'))
  const stood = new Set<string>()
  scene.onSent = ({ from, message }) => {
    if (message.kind === 'vote') stood.add(from)
  }
  const leads = ({ node }: SimNode): boolean => node?.raft.status.role === 'leader'
  await scene.until('IL6', 'a node with a sound disk leads', () => well.some(leads), 1_500)
  const next = await scene.elect(well)
  await scene.write(next, scene.draft('z', 2))
  next.crash('killed')
  await scene.until('IL6', 'one of the others that are well leads', () =>
    well.some(node => node !== next && leads(node))
  )
  for (const { key } of [sick, other]) {
    hold(!stood.has(key), 'IL6', () => `${key} has stood for election while its disk hung`)
  }
}

/** Where no disk does better, nobody would lead better. */
async function allHang(): Promise<void> {
  const scene = new Scene({ seed: 32, nodes: 3 })
  const leader = await scene.elect()
  await scene.write(leader)
  const until = scene.now + 8_000
  for (const { disk } of scene.others(leader)) disk.knobs.hungUntil = until
  await scene.pass(5)
  leader.disk.knobs.hungUntil = until
  const pending = scene.begin(leader, scene.draft('y'))
  const { term } = leader.node!.raft.status
  await scene.pass(7_000)
  const { status } = leader.node!.raft
  hold(status.role === 'leader' && status.term === term, 'IL6', () => `${leader.id} has left the lead to nobody`)
  await scene.until('IL6', 'what was asked is answered', () => pending.result?.kind === 'answer', 3_000)
}

/** Two that have been held up again and again are all that is left. */
async function nobodyElseIsLeft(): Promise<void> {
  const scene = new Scene({ seed: 33, nodes: 3 })
  const leader = await scene.elect()
  await scene.write(leader)
  const left = scene.others(leader)
  for (let stalls = 0; stalls < 2; stalls++) {
    for (const node of left) node.stall(750)
    await scene.pass(900)
  }
  const former = await scene.elect()
  hold(
    left.every(({ node }) => node!.health.unfit !== null),
    'IL6',
    () => 'they take themselves for fit'
  )
  for (const node of [former, ...scene.others(former)].slice(0, 1)) node.crash('killed')
  await scene.elect(scene.others(former), 6_500)
}
