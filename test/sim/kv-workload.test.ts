// How the histories of the built-in workload are judged: broken, sound, and what nobody has decided.
import { t } from 'tap'
import { type CounterInput, counterModel } from '../../lib/sim/history/counter-model.ts'
import { History } from '../../lib/sim/history/history.ts'
import { judgeHistory } from '../../lib/sim/kv-workload.ts'

/** Two processes that increment at once, and a third that is told `count` afterwards. */
function twoAtOnce(count: number): History<CounterInput, number> {
  const history = new History<CounterInput, number>()
  const calls = [1, 2].map(process => history.invoke(process, { f: 'increment', key: 'x' }, 0))
  for (const [at, call] of calls.entries()) history.ok(call, 2 - at, 1)
  history.ok(history.invoke(3, { f: 'get', key: 'x' }, 2), count, 3)
  return history
}

t.test('a sound history passes, a broken one is told with the answer that has no place', async t => {
  judgeHistory(twoAtOnce(2), counterModel, 'a counter')
  const broken = (): void => judgeHistory(twoAtOnce(1), counterModel, 'a counter')
  t.throws(broken, { invariant: 'IK1', message: /a counter \(x\) is not linearizable .* process 3 answered 1/ })
})

t.test('what is not decided is not called sound', async t => {
  const undecided = (): void => judgeHistory(twoAtOnce(2), counterModel, 'a counter', { configurationsMax: 1 })
  t.throws(undecided, { invariant: 'IK1', message: /no order of a counter was found among 1 configurations/ })
})
