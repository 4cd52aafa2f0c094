// The bound of the past by age and by bytes: what the leader orders, when, and what nobody orders.
import { t } from 'tap'
import { readU16, readU64 } from '../../lib/base/bytes.ts'
import type { HorizonTerms } from '../../lib/kv/past/horizon.ts'
import { commandAt, draftFault } from '../../lib/record/record.ts'
import { HistoryBound } from '../../lib/server/history-bound.ts'
import { readCommands } from '../../lib/wire/kv/read-commands.ts'
import { VirtualTime } from '../help/virtual-time.ts'

void t.test('a leader orders what is due, three times a minute at most, and nobody else does', async t => {
  const time = new VirtualTime(1)
  const drafts: Uint8Array[] = []
  const asked: HorizonTerms[] = []
  const status = { role: 'follower' }
  let horizon = 0
  let compacted = 0
  const node = {
    raft: { status },
    get clusterTime() {
      return 1_000_000 + time.now
    },
    write: (draft: Uint8Array) => void drafts.push(draft)
  }
  const machine = {
    compacted: () => compacted,
    horizon: (terms: HorizonTerms, done: (error: Error | null, revision: number) => void): void => {
      asked.push(terms)
      done(null, horizon)
    }
  }
  const env = time.env('n1')
  const history = { ageMs: 60_000, bytes: 5000 }
  const bound = new HistoryBound({ env, history, node: () => node as never, machine: () => machine })
  bound.start()
  time.run(60_000)
  t.same(asked, [], 'a follower does not even look')
  status.role = 'leader'
  time.run(20_000)
  t.same(asked, [{ before: 1_020_000, bytes: 5000 }])
  t.same(drafts, [], 'nothing is old enough')
  horizon = 7
  time.run(20_000)
  const [draft] = drafts
  t.equal(draftFault(draft!), null)
  t.equal(readU64(draft!, commandAt.session), 1_100_000, 'a session of its own')
  const commands = readCommands(draft!.subarray(commandAt.commands), readU16(draft!, commandAt.count))
  t.same(commands, [{ op: 'compact', revision: 7 }])
  compacted = 7
  time.run(60_000)
  t.equal(drafts.length, 1, 'what has been let go of is not ordered again')
  bound.stop()
  horizon = 9
  time.run(60_000)
  t.equal(drafts.length, 1)
})
