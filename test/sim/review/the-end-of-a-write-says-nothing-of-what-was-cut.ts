// A write that is under way when its records are cut ends for what is left of them, not for what stands there since.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { blockAfter, Solo } from '../../help/solo-core.ts'

/**
 * Records 2 to 4 of term 1 are being written when the leader of term 2 cuts them and puts three of its own in their place.
 * The first write ends, then that of the term; the third, which has the new records, is still under way.
 */
export function scenario(): void {
  const solo = new Solo({ count: 5, log: [1] })
  solo.append(2, 1, { term: 1, index: 1 }, [])
  solo.autoFlush = false
  solo.append(2, 1, { term: 1, index: 1 }, [blockAfter(1, 1, 3)])
  solo.append(3, 2, { term: 1, index: 1 }, [])
  const sent = solo.append(3, 2, { term: 1, index: 1 }, [blockAfter(1, 2, 3)])
  const [old, term, cut] = solo.persists
  hold(old !== undefined && term?.hard?.term === 2 && cut?.cut === 1, 'IX1', () => 'there are not three writes')
  sent.push(...solo.flush(old!.mark), ...solo.flush(term!.mark))
  for (const { message } of sent) {
    if (message.kind !== 'append-reply') continue
    hold(message.match <= 1, 'IS8', () => `it acknowledges ${message.match}, which is not on its disk`)
  }
  const [last] = solo.flush(cut!.mark).slice(-1)
  hold(
    last?.message.kind === 'append-reply' && last.message.match === 4,
    'IL3',
    () => 'it does not acknowledge what it has'
  )
}
