// What a store may be asked to do, as commands of fast-check: each is done to the model and to the cluster, and compared.
import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import type { Bounds, RangeOptions } from '../../lib/client/options.ts'
import type { Death } from '../../lib/sim/node/sim-node.ts'
import type { Plain } from '../kv/bed.ts'
import type { Believed, Bench } from './kv-bench.ts'
import { manyKeysArbitraries } from './kv-txns.ts'
import {
  agree,
  apply,
  begin,
  conditionOf,
  keyArbitrary,
  large,
  latin,
  plainOf,
  type WriteSpec,
  writeArbitrary
} from './kv-writes.ts'

type Doing = fc.AsyncCommand<Believed, Bench>

function spelled(spec: object): string {
  return JSON.stringify(spec).replaceAll(large, 'large')
}

abstract class Always implements Doing {
  check(_believed: Readonly<Believed>): boolean {
    return true
  }

  abstract run(believed: Believed, bench: Bench): Promise<void>
  abstract toString(): string
}

class Write extends Always {
  readonly #spec: WriteSpec

  constructor(spec: WriteSpec) {
    super()
    this.#spec = spec
  }

  async run(believed: Believed, bench: Bench): Promise<void> {
    const ifRevision = conditionOf(this.#spec, believed)
    const end = await bench.end(begin(this.#spec, ifRevision, bench))
    agree(end, apply(this.#spec, ifRevision, believed))
  }

  toString(): string {
    return `write(${spelled(this.#spec)})`
  }
}

/** Several calls of one tick, not awaited; while they are under way a node may die and come back. */
class Burst extends Always {
  readonly #specs: readonly WriteSpec[]
  readonly #trouble: 'none' | 'reset' | 'restart'
  readonly #ms: number

  constructor(specs: readonly WriteSpec[], trouble: 'none' | 'reset' | 'restart', ms: number) {
    super()
    this.#specs = specs
    this.#trouble = trouble
    this.#ms = ms
  }

  async run(believed: Believed, bench: Bench): Promise<void> {
    // The conditions are those of the state before: which of them hold then is for the order to say.
    const conditions = this.#specs.map(spec => conditionOf(spec, believed))
    const calls = this.#specs.map((spec, at) => bench.end(begin(spec, conditions[at]!, bench)))
    const node = bench.node(-1)
    if (this.#trouble !== 'none') await bench.cluster.play(this.#ms)
    if (this.#trouble === 'reset') bench.cluster.reset(node)
    if (this.#trouble === 'restart') {
      node.crash('power')
      node.start()
    }
    const ends = await Promise.all(calls)
    for (const [at, spec] of this.#specs.entries()) agree(ends[at]!, apply(spec, conditions[at]!, believed))
  }

  toString(): string {
    return `burst(${this.#trouble} after ${this.#ms}, ${spelled(this.#specs)})`
  }
}

class Get extends Always {
  readonly #key: string
  /** Revisions before the present one, or after it; null for the present state. */
  readonly #back: number | null

  constructor(key: string, back: number | null) {
    super()
    this.#key = key
    this.#back = back
  }

  async run(believed: Believed, bench: Bench): Promise<void> {
    const { store } = believed
    const atRevision = this.#back === null ? undefined : Math.max(1, store.revision - this.#back)
    const key = latin(this.#key)
    const now = store.entries.get(key) ?? null
    const end = await bench.end(bench.client.read(this.#key, { atRevision }))
    if ('result' in end) deepStrictEqual(end.result.revision, store.revision)
    const read = 'result' in end ? plainOf(end.result.entry) : end.code
    if (atRevision === undefined || atRevision === store.revision) deepStrictEqual(read, now)
    else if (atRevision > store.revision) deepStrictEqual(read, 'FUTURE_REVISION')
    // What has changed since may be gone; what is told must have been so.
    else if (read !== 'COMPACTED' || (now !== null && now.mod <= atRevision)) {
      deepStrictEqual(read, believed.at(atRevision, key))
    }
  }

  toString(): string {
    return `get(${JSON.stringify(this.#key)}, ${this.#back})`
  }
}

class GetMany extends Always {
  readonly #keys: readonly string[]

  constructor(many: readonly string[]) {
    super()
    this.#keys = many
  }

  async run({ store }: Believed, bench: Bench): Promise<void> {
    const end = await bench.end(bench.client.getMany(this.#keys))
    const present = this.#keys.map(key => store.entries.get(latin(key)) ?? null)
    deepStrictEqual('result' in end ? end.result.map(plainOf) : end.code, present)
  }

  toString(): string {
    return `getMany(${JSON.stringify(this.#keys)})`
  }
}

interface RangeSpec {
  readonly bounds: Bounds & { readonly prefix?: string; readonly from?: string; readonly to?: string }
  readonly limit: number
  readonly reverse: boolean
  readonly keysOnly: boolean
  readonly atPresent: boolean
  /** Written after the first entry has come. */
  readonly between: WriteSpec | null
}

function boundsOf({ prefix, from, to }: RangeSpec['bounds']): { readonly from: string; readonly to: string | null } {
  if (prefix === undefined) return { from: latin(from ?? ''), to: to === undefined ? null : latin(to) }
  // No key holds the byte 0xff, so that it ends every prefix.
  return { from: latin(prefix), to: `${latin(prefix)}\xff` }
}

class Range extends Always {
  readonly #spec: RangeSpec

  constructor(spec: RangeSpec) {
    super()
    this.#spec = spec
  }

  async run(believed: Believed, bench: Bench): Promise<void> {
    const { bounds, limit, reverse, keysOnly, atPresent, between } = this.#spec
    const { store } = believed
    const { revision } = store
    const all = store.scan({ ...boundsOf(bounds), limit, reverse, keysOnly })
    const counted = await bench.end(bench.client.count(bounds))
    deepStrictEqual(counted, { result: store.range(boundsOf(bounds).from, boundsOf(bounds).to).length })
    const options: RangeOptions = {
      ...bounds,
      reverse,
      ...(limit === 0 ? {} : { limit }),
      ...(atPresent ? { atRevision: revision } : {})
    }
    const range = bench.client.range({ ...options, keysOnly })
    const entries: (Plain | null)[] = []
    for (;;) {
      const next = await bench.end(range.next())
      if (!('result' in next)) throw new Error(`a range ended with ${next.code}`)
      if (next.result.done === true) break
      entries.push(plainOf(next.result.value))
      if (entries.length === 1 && between !== null) await new Write(between).run(believed, bench)
    }
    deepStrictEqual(entries, all)
    deepStrictEqual(range.revision, revision)
  }

  toString(): string {
    return `range(${spelled(this.#spec)})`
  }
}

/** The node with which the client speaks, or any, dies and comes back at once. */
class Restart extends Always {
  readonly #at: number
  readonly #death: Death

  constructor(at: number, death: Death) {
    super()
    this.#at = at
    this.#death = death
  }

  async run({ down }: Believed, bench: Bench): Promise<void> {
    const node = bench.node(this.#at)
    if (down !== null && bench.node(down) !== node) return
    node.crash(this.#death)
    node.start()
  }

  toString(): string {
    return `restart(${this.#at}, ${this.#death})`
  }
}

/** A node dies and stays down: the others go on without it. */
class Crash implements Doing {
  readonly #at: number
  readonly #death: Death

  constructor(at: number, death: Death) {
    this.#at = at
    this.#death = death
  }

  check({ down }: Readonly<Believed>): boolean {
    return down === null
  }

  async run(believed: Believed, bench: Bench): Promise<void> {
    const node = bench.node(this.#at)
    believed.down = bench.cluster.nodes.indexOf(node)
    node.crash(this.#death)
  }

  toString(): string {
    return `crash(${this.#at}, ${this.#death})`
  }
}

class Start implements Doing {
  check({ down }: Readonly<Believed>): boolean {
    return down !== null
  }

  async run(believed: Believed, bench: Bench): Promise<void> {
    bench.node(believed.down!).start()
    believed.down = null
  }

  toString(): string {
    return 'start'
  }
}

/** Time passes; of three seconds each node makes use to flush. */
class Rest extends Always {
  readonly #ms: number

  constructor(ms: number) {
    super()
    this.#ms = ms
  }

  async run(_believed: Believed, bench: Bench): Promise<void> {
    await bench.rest(this.#ms)
  }

  toString(): string {
    return `rest(${this.#ms})`
  }
}

const boundsArbitrary = fc.oneof(
  fc.constant({}),
  fc.record({ prefix: fc.constantFrom('', 'a', 'ab', '\u{10000}') }),
  fc.record({ from: keyArbitrary, to: keyArbitrary }, { requiredKeys: [] })
)

const rangeArbitrary: fc.Arbitrary<RangeSpec> = fc.record({
  bounds: boundsArbitrary,
  limit: fc.nat({ max: 3 }),
  reverse: fc.boolean(),
  keysOnly: fc.boolean(),
  atPresent: fc.boolean(),
  between: fc.option(writeArbitrary, { freq: 1 })
})

const deaths: fc.Arbitrary<Death> = fc.constantFrom('killed', 'power', 'torn')
/** A node, or the leader. */
const which = fc.integer({ min: -1, max: 2 })

const write = writeArbitrary.map(spec => new Write(spec))
const shared: fc.Arbitrary<Doing>[] = [
  write,
  write,
  write,
  fc
    .tuple(
      fc.array(writeArbitrary, { minLength: 2, maxLength: 6 }),
      fc.constantFrom('none' as const, 'reset' as const, 'restart' as const),
      fc.constantFrom(0, 0.5, 1, 2, 5)
    )
    .map(([specs, trouble, ms]) => new Burst(specs, trouble, ms)),
  fc.tuple(keyArbitrary, fc.option(fc.integer({ min: -1, max: 4 }))).map(([key, back]) => new Get(key, back)),
  fc.array(keyArbitrary, { maxLength: 5 }).map(many => new GetMany(many)),
  rangeArbitrary.map(spec => new Range(spec)),
  ...manyKeysArbitraries,
  fc.tuple(which, deaths).map(([at, death]) => new Restart(at, death)),
  fc.constantFrom(10, 1000, 4000).map(ms => new Rest(ms))
]

/** As a failure has printed it in its `replayPath`, besides its seed and its path. */
const { FC_REPLAY: replayPath } = process.env
const settings = { maxCommands: 40, size: 'medium', ...(replayPath === undefined ? {} : { replayPath }) } as const

export const commandsOfOne: fc.Arbitrary<Iterable<Doing>> = fc.commands(shared, settings)

export const commandsOfThree: fc.Arbitrary<Iterable<Doing>> = fc.commands(
  [...shared, fc.tuple(which, deaths).map(([at, death]) => new Crash(at, death)), fc.constant(new Start())],
  settings
)
