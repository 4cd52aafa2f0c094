// An application's machine as the model of its own histories: a bank that many use at once.
import { t } from 'tap'
import { AssertionError } from '../../lib/base/assert.ts'
import { Random } from '../../lib/base/random.ts'
import type { MemoryMachine } from '../../lib/machine/memory-machine.ts'
import { History, type Operation } from '../../lib/sim/history/history.ts'
import { checkLinearizable } from '../../lib/sim/history/linearizable.ts'
import { type MachineAnswer, type MachineInput, machineModel } from '../../lib/sim/machine/model.ts'
import { textBytes } from '../help/machine-log.ts'

const decoder = new TextDecoder()

/** Accounts that begin with 10 each. `from to amount` moves money and answers what is left; `account` asks for a balance. */
class Bank implements MemoryMachine {
  static loads = 0
  #balances = new Map<string, number>()

  apply(command: Uint8Array): Uint8Array | null {
    const [from, to, amount] = decoder.decode(command).split(' ')
    const left = this.#balance(from!) - Number(amount)
    if (left < 0) throw new RangeError('not enough')
    this.#balances.set(from!, left)
    this.#balances.set(to!, this.#balance(to!) + Number(amount))
    return textBytes(String(left))
  }

  query(question: Uint8Array): Uint8Array {
    return textBytes(String(this.#balance(decoder.decode(question))))
  }

  save(): Uint8Array {
    return textBytes(JSON.stringify(['a', 'b', 'c'].map(account => [account, this.#balance(account)])))
  }

  load(bytes: Uint8Array): void {
    Bank.loads++
    this.#balances = new Map(JSON.parse(decoder.decode(bytes)) as [string, number][])
  }

  #balance(account: string): number {
    return this.#balances.get(account) ?? 10
  }
}

type Asked = Operation<MachineInput, MachineAnswer>

function input(kind: MachineInput['kind'], text: string): MachineInput {
  return { kind, bytes: textBytes(text) }
}

/** What clients of one bank are told who take turns at chance: called, executed, answered. */
function useBank(random: Random, operations: number, unknown: number): readonly Asked[] {
  const bank = new Bank()
  const history = new History<MachineInput, MachineAnswer>()
  const accounts = ['a', 'b', 'c']
  const clients: { asked: Asked | null; answer: MachineAnswer | undefined }[] = []
  for (let count = 0; count < 5; count++) clients.push({ asked: null, answer: undefined })
  for (let time = 0; ; time++) {
    const busy = clients.filter(({ asked }) => asked !== null || history.operations.length < operations)
    if (busy.length === 0) return history.operations
    const client = busy[random.below(busy.length)]!
    const { asked, answer } = client
    if (asked === null) {
      const [from, to] = [accounts[random.below(3)]!, accounts[random.below(3)]!]
      const call = random.chance(0.5) ? input('query', from) : input('command', `${from} ${to} ${1 + random.below(9)}`)
      client.asked = history.invoke(clients.indexOf(client), call, time)
    } else if (answer === undefined) client.answer = execute(bank, asked.input)
    else {
      if (random.chance(unknown)) history.info(asked, time)
      else history.ok(asked, answer, time)
      client.asked = null
      client.answer = undefined
    }
  }
}

function execute(bank: Bank, { kind, bytes }: MachineInput): MachineAnswer {
  try {
    return kind === 'query' ? bank.query(bytes) : bank.apply(bytes)
  } catch {
    return 'refused'
  }
}

t.test('what a bank has answered is linearizable, also where some answers are lost', async t => {
  for (const unknown of [0, 0.05]) {
    const random = new Random(3, `bank ${unknown}`)
    const operations = useBank(random, 400, unknown)
    t.ok(operations.some(({ output }) => output === 'refused'))
    const before = Bank.loads
    t.match(
      checkLinearizable(
        operations,
        machineModel(() => new Bank())
      ),
      { valid: true, partitions: 1 }
    )
    t.ok(Bank.loads - before < 2 * operations.length, 'a machine that goes straight on is not loaded')
  }
})

t.test('one wrong answer is found', async t => {
  let found = 0
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed, 'wrong')
    const operations = useBank(random, 60, 0)
    const commands = operations.filter(({ input: { kind }, output }) => kind === 'command' && output !== 'refused')
    const wrong = commands[random.below(commands.length)]!
    wrong.output = textBytes(String(Number(decoder.decode(wrong.output as Uint8Array)) + 100))
    const { valid, counterexample } = checkLinearizable(
      operations,
      machineModel(() => new Bank())
    )
    t.equal(valid, false)
    if (counterexample?.stuck === wrong) found++
  }
  t.equal(found, 20, 'nothing but the wrong answer is at fault')
})

t.test('a refusal is an answer: it says what the state was not', async t => {
  const play = (answer: MachineAnswer, amount: number): boolean | null => {
    const history = new History<MachineInput, MachineAnswer>()
    history.ok(history.invoke(1, input('command', `a b ${amount}`), 0), answer, 1)
    return checkLinearizable(
      history.operations,
      machineModel(() => new Bank())
    ).valid
  }
  t.equal(play('refused', 11), true)
  t.equal(play('refused', 9), false)
  t.equal(play(textBytes('1'), 9), true)
  t.equal(play(textBytes('1'), 11), false)
  t.equal(play(null, 9), false)
})

t.test('an unknown command surfaces once, or never', async t => {
  const play = (...balances: readonly number[]): boolean | null => {
    const history = new History<MachineInput, MachineAnswer>()
    history.info(history.invoke(1, input('command', 'a b 4'), 0), 1)
    for (const balance of balances) history.ok(history.invoke(2, input('query', 'a'), 2), textBytes(String(balance)), 3)
    return checkLinearizable(
      history.operations,
      machineModel(() => new Bank())
    ).valid
  }
  t.equal(play(10, 10), true)
  t.equal(play(10, 6, 6), true)
  t.equal(play(6, 10), false)
  t.equal(play(6, 2), false)
})

t.test('the context of a command reaches the machine, and what it is given is its own', async t => {
  const seen: number[] = []
  class Clock extends Bank {
    override apply(command: Uint8Array, context?: { readonly time: number }): Uint8Array {
      command.fill(0)
      seen.push(context!.time)
      return textBytes(String(context!.time))
    }
  }
  const history = new History<MachineInput, MachineAnswer>()
  const context = { index: 7, time: 1_000, session: new Uint8Array(18), serial: 1 }
  const asked = history.invoke(1, { ...input('command', 'tell'), context }, 0)
  history.ok(asked, textBytes('1000'), 1)
  history.ok(history.invoke(1, input('command', 'tell'), 2), textBytes('0'), 3)
  t.equal(
    checkLinearizable(
      history.operations,
      machineModel(() => new Clock())
    ).valid,
    true
  )
  t.strictSame(seen, [1_000, 0])
  t.strictSame(asked.input.bytes, textBytes('tell'))
})

t.test('a broken invariant of ours is no refusal', async t => {
  class Broken extends Bank {
    override query(): Uint8Array {
      throw new AssertionError('broken')
    }
  }
  const history = new History<MachineInput, MachineAnswer>()
  history.ok(history.invoke(1, input('query', 'a'), 0), 'refused', 1)
  t.throws(
    () =>
      checkLinearizable(
        history.operations,
        machineModel(() => new Broken())
      ),
    AssertionError
  )
})
