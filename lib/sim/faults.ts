// What can go wrong: every class of fault by its name, what its amount means, and how chance deals faults over time.
import { StrettoError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'

interface Deal {
  /** Mean time between two of its kind, milliseconds. */
  readonly everyMs: number
  /** How long one lasts; 0 to 0 for what happens at one moment. */
  readonly msMin: number
  readonly msMax: number
  readonly amountMin: number
  readonly amountMax: number
  /** Unit and meaning of the amount, and what the fault does. */
  readonly text: string
}

function deal(
  everyMs: number,
  [msMin, msMax]: readonly [number, number],
  [amountMin, amountMax]: readonly [number, number],
  text: string
): Deal {
  return { everyMs, msMin, msMax, amountMin, amountMax, text }
}

const atOnce = [0, 0] as const

/** All classes, in the order in which they are listed. */
export const faultClasses = {
  partition: deal(4_000, [100, 4_000], [0, 1], 'two sides that do not hear each other (amount: which nodes)'),
  'one-way': deal(5_000, [100, 3_000], [0, 1], 'a node is heard by nobody, or hears nobody (amount below 0.5)'),
  bridge: deal(8_000, [500, 4_000], [0, 1], 'two halves that share only the node between them'),
  ring: deal(8_000, [500, 4_000], [0, 1], 'each node hears only its neighbours in a ring, a majority for each'),
  flapping: deal(9_000, [500, 4_000], [20, 400], 'a node is cut off and back again (amount: ms of each half)'),
  'isolate-leader': deal(6_000, [200, 3_000], [0, 1], 'who leads then is cut off, clients included when above 0.5'),
  drop: deal(
    4_000,
    [200, 4_000],
    [0.01, 0.3],
    'messages are lost (amount: probability); on a link with TCP they come late'
  ),
  duplicate: deal(5_000, [200, 4_000], [0.01, 0.3], 'messages arrive twice (amount: probability)'),
  delay: deal(4_000, [200, 4_000], [5, 300], 'messages take up to so much longer (amount: ms)'),
  reorder: deal(5_000, [200, 4_000], [0.05, 0.5], 'messages overtake each other (amount: probability)'),
  bandwidth: deal(6_000, [500, 4_000], [20, 2_000], 'links carry only so much (amount: KiB/s)'),
  'half-open': deal(7_000, [500, 5_000], [0, 1], 'a link that its sender takes for open and that carries nothing'),
  reset: deal(3_000, atOnce, [0, 1], 'links to and from a node are closed, as by a router that restarts'),
  crash: deal(
    3_000,
    [0, 4_000],
    [0, 40],
    'a process is killed at its n-th effect from now (amount: n) and started again'
  ),
  'crash-all': deal(20_000, [0, 1_500], [0, 1], 'the power of all nodes fails at once, and comes back'),
  pause: deal(5_000, [50, 3_000], [0, 1], 'a process is stopped (SIGSTOP) and continued'),
  stall: deal(3_000, [20, 900], [0, 1], 'the event loop of a process is held up'),
  slow: deal(6_000, [500, 4_000], [0.2, 8], 'each event of a process takes so long (amount: ms)'),
  clock: deal(
    6_000,
    [500, 8_000],
    [0.9, 1.1],
    'a clock runs at this rate (amount), and leaps forward when it is above 1.05'
  ),
  'lost-writes': deal(5_000, [0, 2_500], [0, 1], 'power of a node fails: of what was not synced any part is lost'),
  torn: deal(6_000, [0, 2_500], [0, 1], 'power of a node fails in the middle of a write'),
  'bit-rot': deal(
    9_000,
    [0, 2_000],
    [1, 30],
    'the disk of a node that is down loses or alters what it held (amount: blocks)'
  ),
  'io-error': deal(6_000, [50, 1_000], [0.05, 0.8], 'writes and syncs are rejected, done or not (amount: probability)'),
  'full-disk': deal(
    9_000,
    [100, 2_500],
    [0, 1],
    'there is no space left, or little: a node slows down what grows, or refuses it (amount: how much, from none)'
  ),
  'slow-disk': deal(5_000, [300, 4_000], [3, 60], 'a disk takes so many times longer (amount)'),
  'hung-disk': deal(8_000, [200, 3_000], [0, 1], 'a disk answers nothing, and everything afterwards'),
  'wiped-disk': deal(25_000, atOnce, [0, 1], 'a disk is lost for good, and its node with it'),
  compaction: deal(
    9_000,
    [1_000, 6_000],
    [0.5, 6],
    'logs are cut as soon as they have grown (amount: KiB), so that who lags needs a snapshot'
  ),
  members: deal(
    6_000,
    atOnce,
    [0, 1],
    'the configuration changes: a voter becomes a learner, a learner a voter, who is lost is removed or replaced (amount: which)'
  )
} satisfies Record<string, Deal>

export type FaultClass = keyof typeof faultClasses
export const faultNames = Object.keys(faultClasses) as readonly FaultClass[]

/** One misfortune: schedules are lists of them, so that they can be cut down and kept. */
export interface FaultEvent {
  /** Virtual milliseconds from the beginning. */
  readonly at: number
  readonly kind: FaultClass
  /** A node by its place from 0, or whoever leads then. */
  readonly node: number | 'leader'
  /** How long it lasts; for a crash, how long the process stays down. */
  readonly ms: number
  /** In the unit of its class. */
  readonly amount: number
}

/** How often each class has really done something. */
export type FaultCounts = Partial<Record<FaultClass, number>>

/**
 * The classes that a caller names: `all`, or a list of names.
 * @throws StrettoError BAD_REQUEST for an unknown name
 */
export function readFaultClasses(named: 'all' | readonly string[]): readonly FaultClass[] {
  if (named === 'all') return faultNames
  const chosen = new Set<FaultClass>()
  for (const name of named) {
    if (name === 'all') for (const each of faultNames) chosen.add(each)
    else if (isFaultClass(name)) chosen.add(name)
    else throw new StrettoError('BAD_REQUEST', `there is no fault '${name}': one of all, ${faultNames.join(', ')}`)
  }
  return [...chosen]
}

export function isFaultClass(name: string): name is FaultClass {
  return Object.hasOwn(faultClasses, name)
}

/**
 * Deals faults of these classes over `durationMs`. Each class has a stream of chance of its own, so that leaving one out
 * changes nothing of the others. A seed is mostly calm or mostly stormy: all classes share one factor of how often.
 */
export function dealFaults(
  chanceOf: (name: string) => Random,
  classes: readonly FaultClass[],
  nodes: number,
  durationMs: number
): FaultEvent[] {
  const events: FaultEvent[] = []
  const mood = 0.6 + (chanceOf('mood').below(1000) / 1000) * 2
  for (const kind of classes) {
    const { everyMs, msMin, msMax, amountMin, amountMax } = faultClasses[kind]
    const chance = chanceOf(`fault ${kind}`)
    const between = (min: number, max: number): number => min + (chance.below(10_000) / 10_000) * (max - min)
    // With many classes at work each comes less often, so that there is still a cluster to be disturbed.
    const every = everyMs * mood * Math.max(1, classes.length / 12)
    for (let at = between(0, 2 * every); at < durationMs; at += 20 + between(0, 2 * every)) {
      const node = chance.below(4) === 0 ? 'leader' : chance.below(nodes)
      const amount = Math.round(between(amountMin, amountMax) * 1000) / 1000
      events.push({ at: Math.round(at), kind, node, ms: Math.round(between(msMin, msMax)), amount })
    }
  }
  return events.toSorted((a, b) => a.at - b.at)
}
