// Before a suffix is cut the mark is lowered, durably: else a follower that was rightly cut would take it for a loss.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'

/**
 * Of five nodes, A leads and stores records on itself and B alone; B has promised them, and its mark is on its disk. C is
 * elected and overwrites them on B with fewer. At the moment at which B acknowledges that, its power fails.
 */
export async function scenario(): Promise<void> {
  for (let seed = 1; seed <= 5; seed++) await cut(seed)
}

async function cut(seed: number): Promise<void> {
  const scene = new Scene({ seed, nodes: 5, depth: 'deep' })
  const a = await scene.elect()
  await scene.write(a)
  await scene.level()
  const shared = a.node!.raft.status.last.index
  const [b, ...rest] = scene.others(a)
  scene.part([a, b!], rest)
  for (let number = 1; number <= 4; number++) scene.begin(a, scene.draft(`lost ${number}`, 2))
  await scene.until('IL3', 'the cut off leader has one follower', () => b!.disk.view.mark.index === shared + 4)

  const c = await scene.elect(rest)
  const { term } = c.node!.raft.status
  scene.onSent = ({ from, message }) => {
    if (from !== b!.key || message.kind !== 'append-reply' || message.match <= shared) return
    if (b!.node!.raft.status.term === term) scene.cluster.world.after(0, null, () => b!.crash('power'))
  }
  scene.cluster.wires.heal()
  scene.isolate(a)
  await scene.until('IL3', 'what was cut is acknowledged', () => b!.life === null)
  scene.onSent = () => {}
  b!.start()
  await scene.until('IX1', 'it starts', () => b!.node !== null)
  const { trusted, last } = b!.node!.raft.status
  hold(last.term === term, 'IS8', () => `${b!.id} has lost what it has acknowledged`)
  hold(trusted, 'IL1', () => `${b!.id} takes a cut for a loss: ${scene.lines.join('; ')}`)
}
