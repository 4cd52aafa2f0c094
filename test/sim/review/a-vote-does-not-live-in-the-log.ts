// Term and vote live outside of LevelDB, which forgets in silence: whatever the log has lost, no vote is given twice.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'
import { voted } from '../../help/voted.ts'

/**
 * B votes for A, dies, and its log has lost all that was written since it was asked; no record is missing, so that its log
 * is as long as it has promised. A leads, and is cut off; C, which has heard nothing of it, asks B for the vote of that term.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 3, nodes: 3, depth: 'deep' })
  const { a, b, c, term, writesBefore } = await voted(scene)
  const { log } = b.disk
  log.loseFromFile(writesBefore, log.fileLength - writesBefore)
  b.start()
  await scene.until('IX1', 'it starts', () => b.node !== null)
  hold(b.node!.raft.status.term === term, 'IP3', () => `${b.id} has forgotten term ${term}`)
  const next = await scene.elect([b, c])
  hold(next.node!.raft.status.term > term, 'IS1', () => `${next.id} leads term ${term}, and so does ${a.id}`)
  scene.cluster.wires.heal()
  await scene.level()
}
