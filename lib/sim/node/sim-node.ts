// One simulated node: a process that comes and goes over a disk that stays, with a door for clients.
import { AssertionError } from '../../base/assert.ts'
import type { Env } from '../../base/env.ts'
import { lacksSpace } from '../../base/full-disk.ts'
import type { Random } from '../../base/random.ts'
import type { Log } from '../../log/log.ts'
import type { ReplicatedMachine } from '../../machine/replicated-machine.ts'
import { type NodeLimits, nodeLimits } from '../../node/limits.ts'
import type { Node } from '../../node/node.ts'
import type { Space } from '../../node/room.ts'
import { defaultPriority } from '../../node/succession.ts'
import type { ChainedId, HardState, Index, LogId, MemberKey, NodeId, Term } from '../../raft/types.ts'
import type { ClientPort } from '../../server/client-port.ts'
import type { MemoryFabric } from '../../transport/memory-net.ts'
import type { SimDisk } from '../disk/disk.ts'
import { spaceOf } from '../disk/knobs.ts'
import type { BlockEnd } from '../ghost/ghost-log.ts'
import type { MakeMachine } from '../ghost/machines.ts'
import { Violation } from '../ghost/violation.ts'
import type { Watcher } from '../ghost/watcher.ts'
import type { Onlooker, Witness } from '../ghost/witness.ts'
import type { Life, World } from '../world/world.ts'
import { openDoor } from './door.ts'

/** What would be read from a node's disk after a power cut at this moment. */
export interface DurableView {
  readonly hard: HardState
  readonly mark: ChainedId
  readonly base: ChainedId | null
  /** Where the log ends; null where there is none. */
  readonly last: LogId | null
  /** The record at this index, where it is the base or ends a block. */
  endAt(index: Index): { readonly term: Term; readonly chain: number } | null
}

/** How a life ends from outside. */
export type Death = 'killed' | 'power' | 'torn'

export interface SimNodeParts {
  readonly id: NodeId
  /** `host:port` where clients and peers find it. */
  readonly address: string
  readonly world: World
  readonly fabric: MemoryFabric
  readonly disk: SimDisk
  readonly machine: MakeMachine
  /** The highest machine version that the program of its first life can run; null for that of the machine. */
  readonly versionMax: number | null
  readonly watcher: Watcher
  /** Who hears what a machine of this node's present life does. */
  readonly onlooker: (node: SimNode) => Onlooker
  /** A life of the node has begun, with this log. */
  readonly began: (node: SimNode, base: ChainedId, ends: readonly BlockEnd[]) => void
  /** A life is over, or the process. */
  readonly ended: (node: SimNode) => void
  /** Something that an operator would read. */
  readonly found: (node: SimNode, line: string) => void
  /** Nothing that a run may pass over: it ends with this. */
  readonly broken: (error: Error) => void
}

/** Lives that ended by a fault of the disk: so many within this time, and the node waits for an operator. */
const livesMax = 3
const livesWithinMs = 60_000
/** After a full disk another life is tried after this, however often. */
const roomAgainMs = 1_000

/** Whether the members know this incarnation; where they do not, it has them asked. */
export type Admit = (incarnation: string) => boolean

export abstract class SimNode {
  readonly id: NodeId
  readonly random: Random
  readonly disk: SimDisk
  readonly parts: SimNodeParts
  /** Of its lives; may be changed while they run. */
  readonly limits: { -readonly [Name in keyof NodeLimits]: NodeLimits[Name] } = {
    ...nodeLimits,
    // States are compared often, since a run is short.
    hashRecords: 100,
    hashAfterMs: 1_000
  }
  /** The highest machine version that the program of its next life can run; null for that of the machine. */
  versionMax: number | null
  /** Of its next life, among those that could lead. */
  priority = defaultPriority
  /** The process; null while there is none. */
  life: Life | null = null
  env: Env | null = null
  /** Null while the process opens its disk, waits for its founding, or is between two lives of the node. */
  node: Node | null = null
  machine: Witness | null = null
  /** What lies between the node and `machine`. */
  replicated: ReplicatedMachine | null = null
  log: Log | null = null
  /** It has lost something that it had promised, and what it has lost is not yet known to be back. */
  damaged = false
  /** Its disk is gone for good, and it with it. */
  lost = false
  /** Lives of the node that its disk has ended. */
  faults = 0
  /** Snapshots that it has taken up. */
  snapshots = 0
  /** Who counts as it now; empty before it is known. */
  key: MemberKey = ''
  #door: ClientPort | null = null
  #faultTimes: number[] = []
  #effectsLeft = 0
  #died: () => void = () => {}

  constructor(parts: SimNodeParts) {
    this.id = parts.id
    this.parts = parts
    this.disk = parts.disk
    this.versionMax = parts.versionMax
    this.random = parts.world.random(parts.id)
  }

  abstract readonly durable: DurableView

  /** What it finds when it looks how much room its disk has. */
  protected readonly space = (): Space => spaceOf(this.disk.knobs, this.parts.world.now)

  /** The process is started. */
  start(): void {
    if (this.life !== null || this.lost) return
    const { world } = this.parts
    this.#faultTimes = []
    this.#effectsLeft = 0
    const life = this.newLife()
    const env = world.env(life, this.random)
    this.life = life
    this.env = env
    const { fabric, address, found } = this.parts
    this.#door = openDoor(this, env, fabric, address, line => found(this, line))
    this.begin(life, env)
  }

  /**
   * One that is lost comes back with an empty disk, under a new incarnation that `admit` has the cluster let in, called until
   * it says so. False where such a node cannot come back.
   */
  abstract comeBack(admit: Admit): boolean

  /** The process is gone, as if the power had failed or by SIGKILL. */
  crash(death: Death): void {
    const { life } = this
    if (life === null) return
    life.over = true
    const { knobs } = this.disk
    knobs.lostWrites = death !== 'killed'
    knobs.tornChance = death === 'torn' ? 1 : 0.1
    this.die(death)
    if (death === 'killed') this.parts.fabric.kill(this.id)
    else this.parts.fabric.powerOff(this.id)
    this.disk.crash(below => this.random.below(below))
    this.life = null
    this.env = null
    this.node = null
    this.machine = null
    this.replicated = null
    this.log = null
    this.#door = null
    this.parts.ended(this)
  }

  /** Is held up so long: its timers and its messages wait, and come together afterwards. */
  stall(ms: number): void {
    const { life } = this
    if (life !== null) life.stalledUntil = Math.max(life.stalledUntil, this.parts.world.now + ms)
  }

  /** Dies at its `effects`-th effect from now on: a message sent, or a write begun. */
  dieAfter(effects: number, died: () => void): void {
    this.#effectsLeft = effects
    this.#died = died
  }

  /** Role, term, leader or membership have changed. */
  changed(): void {
    this.#door?.news()
  }

  /** Just before each effect; false: the process has died, and there is none. */
  effect(life: Life): boolean {
    if (life.over) return false
    if (this.#effectsLeft === 0 || --this.#effectsLeft > 0) return true
    this.crash('killed')
    this.#died()
    return false
  }

  /** A life of the node has ended by itself: a fault of the disk begins another one, a few times; a bug ends the run. */
  protected failed(life: Life, error: Error): void {
    if (life.over) return
    if (isBug(error)) {
      this.parts.broken(error)
      return
    }
    this.parts.found(this, error.message)
    const { world } = this.parts
    this.faults++
    if (lacksSpace(error)) return this.#beginAgain(life, roomAgainMs)
    this.#faultTimes = [...this.#faultTimes.filter(at => world.now - at < livesWithinMs), world.now]
    this.#beginAgain(life)
  }

  /** A life of the node has ended by itself because a snapshot stands in the place of its state. */
  protected renewed(life: Life): void {
    if (life.over) return
    this.snapshots++
    this.#beginAgain(life)
  }

  #beginAgain(life: Life, afterMs = 0): void {
    const { node } = this
    this.node = null
    this.machine = null
    this.replicated = null
    this.parts.ended(this)
    const again = (): void => {
      if (life.over || this.env === null) return
      if (this.#faultTimes.length >= livesMax) this.crash('killed')
      else this.begin(life, this.env)
    }
    this.closeLife(node, () => void this.parts.world.after(afterMs, life, again))
  }

  protected abstract newLife(): Life
  /** Opens the disk and begins a life of the node. */
  protected abstract begin(life: Life, env: Env): void
  /** `node` is what it was, null where it had not begun. */
  protected abstract closeLife(node: Node | null, closed: () => void): void
  /** What is in memory is lost; of what was not yet durable, as `death` says. */
  protected abstract die(death: Death): void
  /** Damages the log of a node that is down, so that it must notice; false where there was nothing to damage. */
  abstract rot(blocks: number): boolean
}

/** No disk, link or peer makes these: the code itself is at fault. */
export function isBug(error: Error): boolean {
  return [AssertionError, Violation, TypeError, RangeError, ReferenceError].some(kind => error instanceof kind)
}
