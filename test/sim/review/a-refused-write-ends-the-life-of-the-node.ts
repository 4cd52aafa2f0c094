// After a refused write nobody knows what is on the disk: the life ends, its callers are told "unknown", another begins.

import type { WriteResult } from '../../../lib/node/result.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { fateIn, type Pending, Scene } from '../../help/scene.ts'

/** The disk of the leader refuses one write, of which it has something or nothing; then that of a follower does. */
export async function scenario(): Promise<void> {
  for (let seed = 220; seed < 226; seed++) {
    const scene = new Scene({ seed, nodes: 3 })
    for (const leads of [true, false]) {
      const leader = await scene.elect()
      await scene.write(leader)
      await scene.level()
      const refused = leads ? leader : scene.others(leader)[0]!
      const { faults } = refused
      refused.disk.knobs.ioErrorChance = 1
      const pending: Pending<WriteResult>[] = []
      for (let session = 2; session < 6; session++) pending.push(scene.begin(leader, scene.draft('x', session)))
      await scene.until('IX2', 'a refused write ends the life', () => refused.faults > faults)
      refused.disk.knobs.ioErrorChance = 0
      await scene.until('IL5', 'all writes are answered', () => pending.every(({ result }) => result !== null))
      const wanted = leads ? 'unknown' : 'applied'
      for (const { result } of pending)
        hold(fateIn(result) === wanted, 'ID1', () => `${fateIn(result)} is told, not ${wanted}`)
      await scene.elect()
      await scene.level()
      hold(refused.faults === faults + 1, 'IX1', () => `${refused.faults} lives have ended`)
    }
  }
}
