// A full disk ends the life of its node, so a leader refuses what grows while there is a little left, and lets another lead.
import type { WriteResult } from '../../../lib/node/result.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import type { SimNode } from '../../../lib/sim/node/sim-node.ts'
import { Scene } from '../../help/scene.ts'

/** Followers tell of their room in their turns, which come with the messages of the leader. */
const toldMs = 300

export async function scenario(): Promise<void> {
  await oneFills()
  await allFill()
  await tooManyFill()
}

/** Another has room: it is to lead, and takes in what this one refuses. */
async function oneFills(): Promise<void> {
  const scene = new Scene({ seed: 41, nodes: 3 })
  const short = await scene.elect()
  await scene.write(short)
  short.disk.knobs.space = 'scarce'
  await refused(scene, short)
  const others = scene.others(short)
  const leads = (): boolean => others.some(({ node }) => node?.raft.status.role === 'leader')
  await scene.until('IL7', 'a node with room leads', leads, 3_000)
  const next = await scene.elect()
  hold((await scene.write(next, scene.draft('z', 2))).kind === 'answer', 'IL7', () => 'one disk without room stops all')
}

/** Nobody has room: nobody would lead better, and nothing grows until there is room again. */
async function allFill(): Promise<void> {
  const scene = new Scene({ seed: 42, nodes: 3 })
  const leader = await scene.elect()
  await scene.write(leader)
  for (const { disk } of scene.cluster.nodes) disk.knobs.space = 'none'
  await scene.pass(toldMs)
  const { term } = leader.node!.raft.status
  await refused(scene, leader)
  await scene.pass(10_000)
  const { role, term: now } = leader.node!.raft.status
  hold(role === 'leader' && term === now, 'IL7', () => `${leader.id} has left the lead to one without room`)
  for (const { disk } of scene.cluster.nodes) disk.knobs.space = 'ample'
  await scene.pass(toldMs)
  hold((await scene.write(leader, scene.draft('z', 2))).kind === 'answer', 'IL7', () => 'with room it still refuses')
}

/** The leader has room, but no majority with it. */
async function tooManyFill(): Promise<void> {
  const scene = new Scene({ seed: 43, nodes: 3 })
  const leader = await scene.elect()
  await scene.write(leader)
  for (const { disk } of scene.others(leader)) disk.knobs.space = 'scarce'
  await scene.pass(toldMs)
  await refused(scene, leader)
}

async function refused(scene: Scene, node: SimNode): Promise<void> {
  const result: WriteResult = await scene.write(node, scene.draft('grows'))
  const isRefused = result.kind === 'refused' && result.code === 'NO_SPACE' && result.fate === 'not-applied'
  hold(isRefused, 'IL7', () => `${node.id} has taken in what grows: ${JSON.stringify(result)}`)
}
