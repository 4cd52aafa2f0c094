// The commands about members without a cluster: what is mistyped, and how members, changes and plans read.
import { t } from 'tap'
import { changeText, memberRow, readChange } from '../../bin/members.ts'
import { planText } from '../../bin/plan.ts'
import { runProgram } from '../../bin/program.ts'
import { upgradeText } from '../../bin/upgrade.ts'
import type { MemberStatus } from '../../lib/client/client.ts'

async function fault(...args: string[]): Promise<string> {
  let err = ''
  const streams = {
    out: () => {},
    err: (text: string) => {
      err += text
    }
  }
  const code = await runProgram(args, streams)
  return `${code} ${err}`
}

function member(id: string, status: Partial<MemberStatus> = {}): MemberStatus {
  const address = `${id}.example:7001`
  return { id, incarnation: 'ab', address, role: 'voter', leader: false, silentMs: 40, lacks: 0, ...status }
}

t.test('a change that is not whole gets one line that says how it is written', async t => {
  const cases: readonly (readonly [args: string[], line: RegExp])[] = [
    [['members', 'add'], /which member is not said: write 'stretto members add ID ADDRESS \[--learner\]'/],
    [['members', 'add', 'n4'], /the address is missing: write 'stretto members add ID ADDRESS/],
    [['members', 'add', 'n4', 'somewhere'], /'somewhere' is not an address: write host:port/],
    [['members', 'add', 'n4', 'a:1', '--address', 'b:1'], /--address has no place here/],
    [['members', 'remove', 'n4', 'a:1'], /'a:1' has no place here: write 'stretto members remove ID'/],
    [['members', 'remove', 'n4', '--learner'], /--learner has no place here/],
    [['members', 'promote'], /write 'stretto members promote ID'/],
    [['members', 'replace', 'n4', '--address', 'x'], /'x' is not an address/],
    [['members', 'list', 'n4'], /'n4' has no place here: write 'stretto members list'/],
    [['members', 'elect'], /Allowed choices are list, add, remove, promote, replace/],
    [['plan'], /missing required argument 'what'/],
    [['plan', 'leases'], /Allowed choices are members/],
    [
      ['plan', 'members'],
      /the change is not said: write 'stretto plan members' and one of add, remove, promote, replace/
    ],
    [['plan', 'members', 'remove'], /write 'stretto plan members remove ID'/],
    [['transfer-leader', 'n1', 'n2'], /too many arguments for 'transfer-leader'/]
  ]
  for (const [args, line] of cases) {
    const told = await fault(...args)
    t.match(told, line, args.join(' '))
    t.match(told, /^2 stretto[^\n]*\n$/, 'one line, and the exit code of usage')
  }
  const typed = readChange('members', 'replace', 'n2', undefined, { address: '[::1]:7002', timeout: '5s' })
  t.same(typed, { action: 'replace', id: 'n2', address: '[::1]:7002', learner: false })
})

t.test('members read as a table', async t => {
  t.same(memberRow(member('n1', { leader: true })), ['n1', 'leader', 'n1.example:7001', 'ab', 'level'])
  t.same(memberRow(member('n2', { role: 'learner', lacks: 17 }))[1], 'learner')
  t.equal(memberRow(member('n2', { lacks: 17 })).at(-1), 'lacks 17 records')
  t.equal(memberRow(member('n2', { silentMs: 3_000 })).at(-1), 'not heard for 3s')
  t.equal(memberRow(member('n2', { silentMs: null, lacks: null })).at(-1), 'never heard')
})

t.test('a change tells what the member is now', async t => {
  const all = [member('n1'), member('n2', { role: 'learner' }), member('n2', { role: 'waiting' })]
  const change = { id: 'n2', address: undefined, learner: false } as const
  t.equal(changeText({ ...change, action: 'replace' }, all), 'n2 is a learner; the cluster has 1 voter')
  t.equal(
    changeText({ ...change, action: 'remove', id: 'n3' }, all),
    'n3 is no member any more; the cluster has 1 voter'
  )
})

t.test('a plan tells before, after, risks and the end of it', async t => {
  const plan = {
    voters: ['n1', 'n2', 'n3'],
    votersAfter: ['n1', 'n2'],
    tolerates: 1,
    toleratesAfter: 0,
    toleratesNow: 0,
    toleratesNowAfter: 0,
    refused: null,
    risks: ['the cluster will survive no failure, where it survives 1 now']
  }
  t.same(planText(plan).split('\n'), [
    'now    3 voters: n1, n2, n3; they survive 1 failure, 0 with those that are heard at present',
    'after  2 voters: n1, n2; they survive 0 failures',
    'risk   the cluster will survive no failure, where it survives 1 now',
    'It would be done.'
  ])
  const last = planText({ ...plan, voters: ['n1'], votersAfter: [], risks: [], refused: 'the last voter' })
  t.match(last, /now {4}1 voter: n1;.*\nafter {2}0 voters: nobody;.*\nIt would be refused: the last voter\.$/)
})

t.test('how far an upgrade is reads as lines', async t => {
  const [n1, n2, n3] = [
    { id: 'n1', max: 2 },
    { id: 'n2', max: 1 },
    { id: 'n3', max: null }
  ]
  t.equal(
    upgradeText({ inForce: 1, voters: [n1, n2, n3] }),
    [
      'machine version 1 is in force',
      'n1  runs up to 2',
      'n2  runs up to 1',
      'n3  is not heard',
      'a higher one waits for n2, n3'
    ].join('\n')
  )
  const forced = upgradeText({ inForce: 2, voters: [n1, n2] })
  t.match(forced, /^n2 {2}runs up to 1: it votes and holds the log, and serves nothing$/m)
  t.notMatch(forced, /waits/)
})
