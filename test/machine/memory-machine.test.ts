// The adapter for machines in memory: passes the suite of all state machines, and is kind to twenty-line machines.
import { t } from 'tap'
import { AssertionError } from '../../lib/base/assert.ts'
import { numberOfCode, StrettoError } from '../../lib/base/errors.ts'
import { fromMemoryMachine } from '../../lib/machine/memory-machine.ts'
import { MemoryVault } from '../../lib/machine/vault.ts'
import { pack } from '../../lib/record/pack.ts'
import { commandDraft, MachineLog, Replica, sessionOf, Tally, textBytes } from '../help/machine-log.ts'
import { VirtualTime } from '../help/virtual-time.ts'
import { machineSuite } from '../suite/machine.ts'
import type { MachineRig } from '../suite/machine-driver.ts'

async function createRig(): Promise<MachineRig> {
  const time = new VirtualTime()
  const vaults = new Map<string, MemoryVault>()
  return {
    create: (place = 'state-1') => {
      const vault = vaults.get(place) ?? new MemoryVault(time.env('vault'))
      vaults.set(place, vault)
      return fromMemoryMachine(new Tally(), vault, time.env('machine'))
    },
    crash: async () => {},
    commands: number => ({ bytes: pack([textBytes(`say:${number}`), textBytes('plain')]), count: 2 }),
    malformed: [pack([textBytes('nonsense')]).subarray(1), pack(['plain']), pack([[textBytes('plain')]]), pack(null)],
    question: textBytes('order'),
    scan: textBytes('order'),
    until: async condition => time.until(condition),
    end: async () => {}
  }
}

machineSuite(t, 'a machine in memory', createRig)

const session = sessionOf(1, 1)

t.test('a command learns its index, its time, and its name', async t => {
  const replica = new Replica()
  const log = new MachineLog()
  log.cut(5000, commandDraft({ session, serial: 7, commands: ['plain', 'plain'] }))
  replica.apply(...log.blocks)
  t.same(replica.tally.last, { index: 1, time: 5000, session, serial: 8 })
})

t.test('a throw refuses the command, and nothing else', async t => {
  const replica = new Replica()
  const log = new MachineLog()
  log.cut(1, commandDraft({ session, serial: 1, commands: ['plain', 'refuse', 'nonsense', 'plain'] }))
  const [answer] = replica.apply(...log.blocks)
  t.same(
    answer?.each?.map(one => [one.status, one.revision]),
    [
      [0, 2],
      [numberOfCode('CONDITION_FAILED'), 2],
      [numberOfCode('BAD_REQUEST'), 2],
      [0, 3]
    ]
  )
})

t.test('what a machine does with a command does not reach the log', async t => {
  const time = new VirtualTime()
  const replica = new Replica()
  const log = new MachineLog()
  const block = log.cut(1, commandDraft({ session, serial: 1, commands: ['plain'] }))
  const bytes = new Uint8Array(block.bytes)
  const apply = replica.tally.apply.bind(replica.tally)
  replica.tally.apply = (command, context) => {
    const answer = apply(command, context)
    command.fill(0)
    context.session.fill(0)
    return answer
  }
  replica.apply(block)
  t.same(new Uint8Array(block.bytes), bytes)
  t.equal(time.now, 0)
})

t.test('a broken invariant of ours is not taken for a refusal', async t => {
  const replica = new Replica()
  const log = new MachineLog()
  log.cut(1, commandDraft({ session, serial: 1, commands: ['plain'] }))
  replica.tally.apply = () => {
    throw new AssertionError('broken')
  }
  t.throws(() => replica.apply(...log.blocks), AssertionError)
})

t.test('a question it cannot answer is the asker’s fault', async t => {
  const time = new VirtualTime()
  const machine = fromMemoryMachine(new Tally(), new MemoryVault(time.env('vault')), time.env('machine'))
  const errors: (Error | null)[] = []
  machine.query(textBytes('nonsense'), error => errors.push(error))
  machine.scan(textBytes('nonsense')).page(100, error => errors.push(error))
  time.run(0)
  for (const error of errors) t.match(error, { code: 'BAD_REQUEST', fate: 'not-applied' })
  t.equal(errors.length, 2)
})

t.test('a vault in a later format is no damage: it says to use a newer version', async t => {
  const time = new VirtualTime()
  const vault = new MemoryVault(time.env('vault'))
  vault.save(Uint8Array.of(0, 2, 0, 0, 9), () => {})
  const errors: (Error | null)[] = []
  fromMemoryMachine(new Tally(), vault, time.env('machine')).open(error => errors.push(error))
  time.run(0)
  t.match(errors, [
    {
      code: 'BAD_REQUEST',
      message: 'the saved machine is written in format 2, and this version reads up to 1: use a newer version'
    }
  ])
})

t.test('a vault that holds something else is CORRUPT', async t => {
  for (const bytes of [new Uint8Array(3), new Uint8Array(28), textBytes('something else that is long enough')]) {
    const time = new VirtualTime()
    const vault = new MemoryVault(time.env('vault'))
    vault.save(bytes, () => {})
    const errors: (Error | null)[] = []
    fromMemoryMachine(new Tally(), vault, time.env('machine')).open(error => errors.push(error))
    time.run(0)
    t.match(errors, [{ code: 'CORRUPT' }])
    t.ok(errors[0] instanceof StrettoError)
  }
})
