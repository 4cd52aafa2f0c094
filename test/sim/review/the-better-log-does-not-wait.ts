// A node without a leader that refuses a candidate for its shorter log knows that nobody else can win: it stands at once.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'

const soonMs = 100

/** The leader loses power, so that nobody is told. Whichever of the others asks first: the one with the better log soon leads. */
export async function scenario(): Promise<void> {
  let refused = 0
  for (let seed = 100; seed < 108; seed++) {
    const scene = new Scene({ seed, nodes: 3 })
    const leader = await scene.elect()
    await scene.level()
    const [better, worse] = scene.others(leader)
    scene.hold(({ to, message }) => to === worse!.key && message.kind === 'append' && message.blocks.length > 0)
    await scene.write(leader)
    let askedAt = 0
    let first = ''
    scene.onSent = ({ from, message }) => {
      if (message.kind !== 'vote' || !message.pre || askedAt > 0) return
      askedAt = scene.now
      first = from
    }
    leader.crash('power')
    scene.letAllPass()
    const next = await scene.elect([better!, worse!])
    hold(next === better, 'IS5', () => `${next.id} leads without what was committed`)
    refused += first === worse!.key ? 1 : 0
    const gap = Math.round(scene.now - askedAt)
    hold(gap < soonMs, 'IL1', () => `seed ${seed}: nobody led for ${gap} ms after somebody had stood`)
  }
  hold(refused > 1, 'IX1', () => `the shorter log has asked first only ${refused} times`)
}
