// `stretto/sim` as applications use it: their machines and programs, right and wrong ones, and what a wrong option is told.
import { t } from 'tap'
import {
  type CommandContext,
  faultNames,
  type MemoryMachine,
  type SimProcess,
  type SimulateOptions,
  StrettoError,
  simulate
} from '../../lib/sim/simulate.ts'

t.setTimeout(120_000)

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (given: Uint8Array | null): string => new TextDecoder().decode(given ?? new Uint8Array(0))

/** Adds what it is told, and answers the sum. Refuses what is no number. */
class Counter implements MemoryMachine {
  sum = 0

  apply(command: Uint8Array, _context: CommandContext): Uint8Array | null {
    const by = Number(text(command))
    if (!Number.isSafeInteger(by)) throw new StrettoError('CONDITION_FAILED', 'not a number')
    this.sum += by
    return this.query()
  }

  query(): Uint8Array {
    return bytes(String(this.sum))
  }

  save(): Uint8Array {
    return bytes(String(this.sum))
  }

  load(saved: Uint8Array): void {
    this.sum = Number(text(saved))
  }
}

/** What an application does about a call that failed: it goes on. */
async function ignoringFaults(call: () => Promise<unknown>): Promise<void> {
  try {
    await call()
  } catch (error) {
    if (!(error instanceof StrettoError)) throw error
  }
}

async function counting({ client, random, sleep, running }: SimProcess): Promise<void> {
  while (running()) {
    const dice = random(10)
    await ignoringFaults(async () => {
      if (dice < 5) await client.propose(bytes(String(1 + random(9))))
      else if (dice < 9) await client.query(bytes('sum'))
      else await client.query(bytes('sum'), { consistency: 'stale' })
    })
    await sleep(random(30))
  }
}

/** All nodes stand still for longer than any call waits. */
const paused: SimulateOptions = {
  faults: undefined,
  schedule: [0, 1, 2, 3, 4].map(node => ({ at: 500, kind: 'pause', node, ms: 3_000, amount: 0 }))
}

const base: SimulateOptions = {
  seed: 7,
  nodes: 5,
  clients: 4,
  faults: 'all',
  duration: '4s',
  machine: () => new Counter(),
  workload: counting,
  check: ['linearizable', 'same-state']
}

t.test('a machine that is right breaks nothing, in both depths, and the report tells what was tried', async t => {
  for (const depth of ['shallow', 'deep'] as const) {
    const told: number[] = []
    let looks = 0
    const report = await simulate({
      ...base,
      depth,
      seeds: 3,
      check: [
        'linearizable',
        'same-state',
        function allThere({ machines, acknowledged, now }) {
          looks++
          const added = acknowledged.map(({ command }) => Number(text(command)))
          const last = Math.max(0, ...acknowledged.map(({ revision }) => revision))
          for (const { node, revision, query, save } of machines) {
            if (text(query(bytes('sum'))) !== text(save())) return `${node} says what it is not at ${now}`
            if (revision >= last && Number(text(save())) < added.reduce((sum, by) => sum + by, 0))
              return `${node} lost some`
          }
          return true
        }
      ],
      onSeed: ({ seed }, done) => told.push(seed, done)
    })
    t.strictSame(report.violations, [], depth)
    t.match(report, { seeds: 3, digest: /^[0-9a-f]{8}$/, faults: Object })
    t.ok(report.virtualMs > 12_000 && report.operations > 300 && report.events > 10_000, JSON.stringify(report))
    t.ok(looks > 120, 'an invariant is looked at ten times a second')
    t.strictSame(told, [7, 1, 8, 2, 9, 3])
    const struck = Object.keys(report.faults)
    t.ok(struck.length > 2, struck.join())
    t.notOk(struck.some(name => report.neverFired.some(never => never === name)))
    t.equal(
      struck.length + report.neverFired.length,
      faultNames.length,
      'each class asked for has struck, or is said not to have'
    )
    t.notOk('trace' in report)
  }
})

t.test('the report is a function of code, options and seeds', async t => {
  const [one, two] = [await simulate(base), await simulate(base)]
  t.strictSame(one, two)
  const other = await simulate({ ...base, seed: 8 })
  t.not(one.digest, other.digest)
  const both = await simulate({ ...base, seeds: 2 })
  t.equal(both.events, one.events + other.events)
  t.notOk([one.digest, other.digest].includes(both.digest))
})

t.test('the key-value store is simulated where no machine is given, and its replay is a command', async t => {
  const report = await simulate({ seed: 3, nodes: 3, duration: 2_000, faults: ['crash', 'partition'] })
  t.strictSame(report.violations, [])
  t.ok(report.operations > 50)
  t.same(await simulate({ seed: 3, nodes: 3, duration: '2s', faults: ['partition', 'crash'] }), report)
})

t.test('time and identity come in the context, and are part of what is judged', async t => {
  /** Remembers when it was asked last, and by which serial. */
  class Clock extends Counter {
    override apply(_command: Uint8Array, { time, serial, index }: CommandContext): Uint8Array {
      const before = this.sum
      this.sum = time
      return bytes(`${time - before} ${serial} ${index}`)
    }
  }
  const report = await simulate({ ...base, seeds: 3, machine: () => new Clock() })
  t.strictSame(report.violations, [])
})

t.test('an answer too large to be kept for a retry may be missing, and nothing else is', async t => {
  class Wordy extends Counter {
    override query(): Uint8Array {
      return bytes(String(this.sum).padStart(600, '.'))
    }
  }
  t.strictSame((await simulate({ ...base, seeds: 3, machine: () => new Wordy() })).violations, [])
})

t.test('a refusal of the machine reaches the caller as such, and is judged as an answer', async t => {
  const codes = new Set<string>()
  const workload = async ({ client, sleep, running }: SimProcess): Promise<void> => {
    while (running()) {
      await client.propose(bytes('many')).catch((error: StrettoError) => codes.add(`${error.code} ${error.fate}`))
      await sleep(20)
    }
  }
  t.strictSame((await simulate({ ...base, faults: 'none', workload })).violations, [])
  t.strictSame([...codes], ['CONDITION_FAILED not-applied'])
})

/** Violations of at most so many seeds, the first of which breaks something. */
async function broken(options: SimulateOptions): Promise<{ invariant: string; message: string; seed: number }> {
  const ending = new AbortController()
  const onSeed: SimulateOptions['onSeed'] = ({ violation }) => {
    if (violation !== null) ending.abort()
  }
  const { violations } = await simulate({ ...base, seeds: 30, ...options, signal: ending.signal, onSeed })
  return violations[0] ?? { invariant: 'nothing', message: '', seed: 0 }
}

t.test('machines that are wrong are found', async t => {
  let shared = 0
  const wrong: Record<string, readonly [found: RegExp, make: () => MemoryMachine]> = {
    'one that looks at chance': [
      /^IA3$/,
      () =>
        new (class extends Counter {
          override apply(): Uint8Array {
            this.sum += Math.random()
            return this.query()
          }
        })()
    ],
    'one that looks at chance, and does not show it in its answers': [
      /^(same-state|linearizable)$/,
      () =>
        new (class extends Counter {
          override apply(): null {
            this.sum += Math.random()
            return null
          }
        })()
    ],
    'one that all nodes share': [
      /^IA3$/,
      () =>
        new (class extends Counter {
          override apply(): Uint8Array {
            return bytes(String(++shared))
          }
        })()
    ],
    'one that does not save all': [
      /^(linearizable|same-state|IA3)$/,
      () =>
        new (class extends Counter {
          override load(): void {
            this.sum = 0
          }
        })()
    ],
    'one that changes when it is asked': [
      /^(linearizable|same-state|IA3)$/,
      () =>
        new (class extends Counter {
          override query(): Uint8Array {
            return bytes(String(this.sum++))
          }
        })()
    ]
  }
  for (const [name, [found, machine]] of Object.entries(wrong)) {
    const { invariant, message } = await broken({ machine })
    t.match(invariant, found, `${name}: ${message}`)
    t.ok(message.length > 10)
  }
})

t.test("an invariant of one's own is named, and its schedule breaks it again", async t => {
  const below = ({ machines }: { machines: readonly { save(): Uint8Array }[] }): string | undefined => {
    const high = machines.map(({ save }) => Number(text(save()))).find(sum => sum > 100)
    return high === undefined ? undefined : `a sum of ${high > 100 ? 'more than 100' : high}`
  }
  const named = [
    [below, 'below', 'a sum of more than 100'],
    [{ name: 'low sum', check: below }, 'low sum', 'a sum of more than 100'],
    [(view: Parameters<typeof below>[0]) => below(view) === undefined, 'check 1', /^it does not hold at \d+ ms$/],
    [
      {
        name: 'thrown',
        check: () => {
          throw new StrettoError('CORRUPT', 'seen')
        }
      },
      'thrown',
      'CORRUPT (not-applied): seen'
    ],
    [{ name: 'late', check: (async () => {}) as () => void }, 'late', /gives a promise/]
  ] as const
  for (const [check, invariant, message] of named) {
    const { violations } = await simulate({ ...base, check: [check] })
    t.match(violations, [{ seed: 7, invariant, message, replay: /^simulate\(/, schedule: Array }], invariant)
  }
  const { violations } = await simulate({ ...base, check: [below], seeds: 2 })
  t.equal(violations[1]!.replay, 'simulate({ ...options, seed: 8, seeds: 1 })')
  const { faults: _, ...rest } = base
  const again = await simulate({ ...rest, check: [below], schedule: violations[0]!.schedule })
  t.strictSame(again.violations[0]!.message, violations[0]!.message)
})

t.test('a program that is wrong is found', async t => {
  const programs: Record<
    string,
    readonly [message: RegExp, workload: (process: SimProcess) => Promise<void>, options?: SimulateOptions]
  > = {
    'does not expect that calls fail': [
      /^client \d: [A-Z_]+ \((not-applied|unknown)\): /,
      async ({ client, running, sleep }) => {
        for (; running(); await sleep(10)) await client.propose(bytes('1'))
      },
      paused
    ],
    'takes a stale answer for a fresh one': [
      /^client \d: the sum went from \d+ to \d+/,
      async ({ client, running, sleep }) => {
        let seen = 0
        while (running()) {
          await ignoringFaults(async () => {
            await client.propose(bytes('1'))
            const sum = Number(text(await client.query(bytes('sum'), { consistency: 'stale' })))
            if (sum < seen)
              throw Object.assign(new Error(`the sum went from ${seen} to ${sum}`), { name: 'AssertionError' })
            seen = sum
          })
          await sleep(5)
        }
      }
    ],
    'never ends': [
      /^client 1 has not ended 4000 ms after it was told to/,
      async ({ client }) => {
        for (;;) await ignoringFaults(() => client.query(bytes('sum')))
      }
    ],
    'asks again at once, whatever is thrown': [
      /^client 1 has not ended/,
      async ({ client }) => {
        for (;;) await client.propose('not bytes' as unknown as Uint8Array).catch(() => {})
      }
    ],
    'waits for a true clock': [
      /^client 1 has not ended/,
      () => new Promise(resolve => setTimeout(resolve, 60_000).unref())
    ]
  }
  for (const [name, [message, workload, options]] of Object.entries(programs)) {
    const found = await broken({ workload, ...options })
    t.match(found, { invariant: 'workload', message }, name)
  }
})

t.test('a program may come to its end in peace, and is woken for it', async t => {
  const ends: number[] = []
  const workload = async ({ client, sleep, running, now, process }: SimProcess): Promise<void> => {
    await sleep(1_000_000)
    if (running()) throw new Error('it slept too short')
    await client.propose(bytes(String(process)))
    ends.push(now())
  }
  const report = await simulate({ ...base, faults: 'none', duration: '1s', workload })
  t.strictSame(report.violations, [])
  t.equal(ends.length, 4)
})

t.test('a class that never struck is named', async t => {
  const none = await simulate({ ...base, faults: ['wiped-disk', 'crash'], duration: 1 })
  t.strictSame(none.neverFired, ['wiped-disk', 'crash'])
  t.strictSame(none.faults, {})
  t.strictSame((await simulate({ ...base, faults: 'none', duration: '1s' })).neverFired, [])
})

t.test('a trace is a page that says what was broken', async t => {
  const low = (): string => 'it never holds'
  const { trace, ...report } = await simulate({ ...base, trace: true, check: [low] })
  t.strictSame(report, await simulate({ ...base, check: [low] }), 'to be watched changes nothing')
  t.match(trace, /^<!doctype html>/)
  t.match(trace, /<b>low<\/b> it never holds/)
  t.match(trace, /propose /)
})

t.test('a signal ends it, with what was run by then', async t => {
  const ending = new AbortController()
  const one = await simulate({ ...base, seeds: 9, signal: ending.signal, onSeed: () => ending.abort() })
  t.equal(one.seeds, 1)
  t.strictSame(one.violations, [])
  const early = new AbortController()
  const machine = (): Counter => {
    early.abort()
    return new Counter()
  }
  t.match(await simulate({ ...base, duration: '1h', machine, signal: early.signal }), {
    seeds: 0,
    events: 0,
    violations: []
  })
})

t.test('a wrong option is one sentence', async t => {
  const { machine, workload, check: _, ...plain } = base
  const event = { at: 1, kind: 'crash', node: 0, ms: 5, amount: 0 } as const
  const wrong: readonly (readonly [options: object, message: RegExp])[] = [
    [{ ...base, sed: 7 }, /^'sed' is no option of this call: seed, /],
    [{ ...base, seed: -1 }, /^seed is -1, and must be a whole number of 0 or more$/],
    [{ ...base, seed: 1.5 }, /^seed is 1\.5/],
    [{ ...base, seeds: 0 }, /^seeds is 0/],
    [{ ...base, nodes: 0 }, /^nodes is 0, and must be a whole number from 1 to 9$/],
    [{ ...base, nodes: 10 }, /^nodes is 10/],
    [{ ...base, nodes: '5' }, /^nodes is 5/],
    [{ ...base, clients: 65 }, /^clients is 65, and must be a whole number from 1 to 64$/],
    [{ ...base, depth: 'middle' }, /^depth is 'middle'/],
    [{ ...base, duration: 'soon' }, /^duration: a number of milliseconds above 0/],
    [{ ...base, duration: '2h' }, /^duration is above one hour/],
    [{ ...base, faults: ['crash', 'flood'] }, /^there is no fault 'flood': one of all, partition, /],
    [{ ...base, faults: 'crash' }, /^faults is 'crash', and must be 'all', 'none' or a list of names$/],
    [{ ...base, faults: ['none', 'crash'] }, /^faults names 'none' together with others$/],
    [{ ...base, schedule: [event] }, /^faults and schedule exclude each other/],
    [{ ...base, faults: undefined, schedule: [{ ...event, kind: 'flood' }] }, /^schedule\[0\]\.kind is "flood"/],
    [{ ...base, faults: undefined, schedule: [{ ...event, node: 5 }] }, /^schedule\[0\]\.node is 5/],
    [{ ...base, faults: undefined, schedule: 'crash' }, /^schedule is "crash", and must be a list/],
    [{ ...base, trace: true, seeds: 2 }, /^a trace is of one seed, and these are 2$/],
    [{ ...plain, machine }, /^a machine needs a workload/],
    [{ ...plain, workload }, /^a workload needs a machine/],
    [{ ...plain, check: ['same-state'] }, /^check and checkEvery are for a machine of your own/],
    [{ ...base, machine: new Counter() }, /^machine is a function/],
    [{ ...base, workload: 5 }, /^workload is a function/],
    [{ ...base, check: ['linearisable'] }, /^check 1 is none of 'linearizable', 'same-state', a function/],
    [{ ...base, check: 'linearizable' }, /^check is a list$/],
    [{ ...base, checkEvery: 0 }, /^checkEvery: a number of milliseconds above 0/]
  ]
  for (const [options, message] of wrong) {
    await t.rejects(simulate(options), { code: 'BAD_REQUEST', fate: 'not-applied', message }, String(message))
  }
})
