// A node of a shallow simulation: production node and machine over a log in memory, with messages that pass by reference.
import { readU32, readU64 } from '../../base/bytes.ts'
import type { Done, Env } from '../../base/env.ts'
import { StrettoError } from '../../base/errors.ts'
import { nameOfState } from '../../log/base-record.ts'
import { refuse } from '../../log/faults.ts'
import { type LogImage, MemoryLog } from '../../log/memory-log.ts'
import { ReplicatedMachine, replicatedMachineDefaults } from '../../machine/replicated-machine.ts'
import { MemoryVault } from '../../machine/vault.ts'
import { Node } from '../../node/node.ts'
import type { SparePlace } from '../../node/snapshot-receiver.ts'
import { defaultConfig, type RaftConfig } from '../../raft/config.ts'
import { Core } from '../../raft/core.ts'
import type { Persist } from '../../raft/doors.ts'
import { type Base, type Index, type LogId, lastOf, type MemberKey } from '../../raft/types.ts'
import { blockHeaderBytes, recordAt } from '../../record/record.ts'
import { resultFrame } from '../../server/client-port.ts'
import type { MountedDisk } from '../disk/disk.ts'
import { Drive } from '../disk/knobs.ts'
import { endOf } from '../ghost/ghost-log.ts'
import type { SimMachine } from '../ghost/machines.ts'
import { Witness } from '../ghost/witness.ts'
import type { Network } from '../world/network.ts'
import { Life } from '../world/world.ts'
import { type Death, type DurableView, SimNode, type SimNodeParts } from './sim-node.ts'

export interface ShallowParts extends SimNodeParts {
  readonly key: MemberKey
  readonly image: LogImage
  readonly network: Network
  readonly config?: RaftConfig
}

export class ShallowNode extends SimNode {
  readonly image: LogImage
  readonly durable: ImageView
  readonly #parts: ShallowParts
  /** By the number of the state. */
  readonly #vaults = new Map<number, MemoryVault>()
  readonly #drive: Drive
  #memoryLog: MemoryLog | null = null
  #replicated: ReplicatedMachine | null = null

  constructor(parts: ShallowParts) {
    super(parts)
    const { world, disk, key, image } = parts
    this.#parts = parts
    this.key = key
    this.image = image
    this.durable = new ImageView(image)
    this.#drive = new Drive(disk.knobs, disk.fired, world.random(`disk ${this.id}`), () => world.now)
  }

  /** Its log begins with the members that it was founded with. */
  comeBack(): boolean {
    return false
  }

  protected newLife(): Life {
    return new Life(this.id)
  }

  protected begin(life: Life, env: Env): void {
    const { began, found } = this.#parts
    const disk = this.disk.mount(env)
    const inner = this.#machine(this.image.base.state, disk, env)
    const machine = new Witness(inner, this.#parts.onlooker(this))
    const options = this.versionMax === null ? {} : { versionMax: this.versionMax }
    const replicated = new ReplicatedMachine(machine, { ...replicatedMachineDefaults, ...options })
    const stateOf = (_base: Base, done: Done<LogId>): void =>
      replicated.open((error, { durable }) => done(error, durable))
    const effect = (): boolean => this.effect(life)
    const hooks = { effect, now: () => this.#parts.world.now }
    const log = new WatchedLog(this.image, env, this.#drive, stateOf, hooks)
    this.#memoryLog = log
    this.#replicated = replicated
    log.open((error, opened) => {
      if (error !== null) return this.failed(life, error)
      for (const finding of opened.findings) found(this, finding)
      const { config = defaultConfig } = this.#parts
      const raft = new Core({
        self: this.key,
        restored: opened.restored,
        config,
        seed: this.random.next(),
        now: env.now()
      })
      const last = this.image.blocks.at(-1)
      this.machine = machine
      this.replicated = replicated
      this.log = log
      this.node = new Node({
        env,
        raft,
        log,
        machine: replicated,
        transport: this.#parts.network.transport(
          this.key,
          life,
          { boot: this.image.boot, machine: [1, replicated.versionMax], priority: this.priority },
          effect
        ),
        lastStamp: last === undefined ? 0 : readU64(last.bytes, blockHeaderBytes + recordAt.time),
        encode: (result, draft) => resultFrame(readU32(draft, recordAt.term), result),
        changed: () => this.changed(),
        found: line => found(this, line),
        limits: this.limits,
        priority: this.priority,
        space: this.space,
        place: (state, done) => this.#place(state, disk, env, done),
        renewed: () => this.renewed(life),
        failed: fault => this.failed(life, fault)
      })
      began(this, this.image.base, this.image.blocks.map(endOf))
      this.node.start()
    })
  }

  #machine(state: number, disk: MountedDisk, env: Env): SimMachine {
    let vault = this.#vaults.get(state)
    if (vault === undefined) {
      vault = new MemoryVault({ soon: turn => void this.#parts.world.after(0, null, turn) })
      this.#vaults.set(state, vault)
    }
    return this.#parts.machine({ env, vault, level: disk.state(nameOfState(state)) })
  }

  /** Where a snapshot is taken in. What a life before left there is gone. */
  #place(state: number, disk: MountedDisk, env: Env, done: Done<SparePlace>): void {
    this.#vaults.delete(state)
    disk.directory.remove(nameOfState(state), error => {
      if (error !== null) return refuse(done, error)
      const { machine } = this.#machine(state, disk, env)
      done(null, {
        sink: machine.restore(),
        keep: kept => machine.close(kept),
        discard: gone => machine.close(() => disk.directory.remove(nameOfState(state), gone))
      })
    })
  }

  protected closeLife(node: Node | null, closed: () => void): void {
    this.#parts.network.down(this.key)
    const log = this.#memoryLog
    const replicated = this.#replicated
    this.#memoryLog = null
    this.#replicated = null
    // The state's database too, or the next life would find it in use.
    const closeLog = (): void => (log === null ? closed() : log.close(closed))
    const closeState = (): void => (replicated === null ? closeLog() : replicated.close(closeLog))
    if (node === null) closeState()
    else node.release(closeState)
  }

  protected die(death: Death): void {
    const lost = this.#memoryLog?.crash(below => this.random.below(below)) ?? 0
    this.#memoryLog = null
    this.#replicated = null
    if (lost > 0) this.disk.fired[death === 'torn' ? 'torn' : 'lost-writes'] += death === 'killed' ? 0 : lost
    if (death === 'killed') this.#parts.network.down(this.key)
    else this.#parts.network.vanish(this.key)
  }

  rot(blocks: number): boolean {
    const { image } = this
    if (image.blocks.length === 0) return false
    image.blocks.splice(-blocks)
    this.disk.fired['bit-rot']++
    return true
  }
}

interface Hooks {
  readonly effect: () => boolean
  readonly now: () => number
}

/** The log in memory, as slow and as unreliable as the disk of its node, and watched. */
class WatchedLog extends MemoryLog {
  readonly #drive: Drive
  readonly #hooks: Hooks

  constructor(
    image: LogImage,
    env: Env,
    drive: Drive,
    stateOf: ConstructorParameters<typeof MemoryLog>[0]['stateOf'],
    hooks: Hooks
  ) {
    super({ image, env, delayMs: () => waitOf(drive, hooks.now()), ...(stateOf && { stateOf }) })
    this.#drive = drive
    this.#hooks = hooks
  }

  override write(persist: Persist, done: Done): void {
    if (!this.#hooks.effect()) return
    super.write(persist, done)
    const error = this.#drive.writeError() ?? this.#drive.syncError()
    if (error === null) return
    const fault = new StrettoError('UNAVAILABLE', error.message, { fate: 'unknown' })
    this.fail(fault, below => this.#drive.chance.below(below))
  }
}

/** How long a disk takes for its next answer, milliseconds. */
function waitOf(drive: Drive, now: number): number {
  const { knobs, fired } = drive
  const ms = drive.syncMs * knobs.slowFactor
  if (knobs.slowFactor > 1) fired['slow-disk']++
  const hung = Math.max(0, knobs.hungUntil - now)
  if (hung > 0) fired['hung-disk']++
  return hung + ms
}

/** The image of a log as the ghost state asks for it. */
class ImageView implements DurableView {
  readonly #image: LogImage

  constructor(image: LogImage) {
    this.#image = image
  }

  get hard() {
    return this.#image.hard
  }

  get mark() {
    return this.#image.mark
  }

  get base() {
    return this.#image.base
  }

  get last(): LogId {
    const last = this.#image.blocks.at(-1)
    return last === undefined ? this.#image.base : { term: last.term, index: lastOf(last) }
  }

  endAt(index: Index) {
    const { base, blocks } = this.#image
    if (index === base.index) return base
    let low = 0
    let high = blocks.length - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const last = lastOf(blocks[middle]!)
      if (last === index) return blocks[middle]!
      if (last < index) low = middle + 1
      else high = middle - 1
    }
    return null
  }
}
