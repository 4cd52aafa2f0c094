// A node of a deep simulation: the production life, from its founding on, over links in memory and a simulated LevelDB.
import type { Env } from '../../base/env.ts'
import { StrettoError } from '../../base/errors.ts'
import { lacksSpace } from '../../base/full-disk.ts'
import { MemoryVault } from '../../machine/vault.ts'
import type { Node } from '../../node/node.ts'
import type { ChainedId, MemberKey, Membership, NodeId } from '../../raft/types.ts'
import { memberKey } from '../../raft/types.ts'
import { type Life as NodeLife, openLife } from '../../server/life.ts'
import type { Founded } from '../../transport/founding.ts'
import { MemoryNet } from '../../transport/memory-net.ts'
import type { MountedDisk } from '../disk/disk.ts'
import { rotKinds } from '../disk/rot.ts'
import type { BlockEnd } from '../ghost/ghost-log.ts'
import type { SimMachine } from '../ghost/machines.ts'
import { Witness } from '../ghost/witness.ts'
import { Life } from '../world/world.ts'
import { type Admit, type DurableView, isBug, SimNode, type SimNodeParts } from './sim-node.ts'

export interface DeepParts extends SimNodeParts {
  /** All nodes with which the cluster is founded, and where they are. */
  readonly cluster: ReadonlyMap<NodeId, string>
  readonly secret: Uint8Array
  /** Of the cluster, once it is founded. */
  readonly clusterId: () => string
}

const knockAgainMs = 200
const nobody: Membership = { voters: [], outgoing: null, learners: [], members: [] }

export class DeepNode extends SimNode {
  readonly #parts: DeepParts
  readonly #vaults = new Map<string, MemoryVault>()
  #open: NodeLife | null = null
  /** What lets it in where its disk is empty; null for a node that founds. */
  #admit: Admit | null = null

  constructor(parts: DeepParts) {
    super(parts)
    this.#parts = parts
  }

  get durable(): DurableView {
    return this.disk.view
  }

  /** The life of the production node; null where there is none. */
  get opened(): NodeLife | null {
    return this.#open
  }

  comeBack(admit: Admit): boolean {
    this.#admit = admit
    this.lost = false
    // What its former disk had promised is excused until its present one speaks for itself.
    this.damaged = true
    this.start()
    return true
  }

  protected newLife(): Life {
    return new Life(this.id, true)
  }

  protected begin(life: Life, env: Env): void {
    const { fabric, address, cluster, secret, found } = this.#parts
    const disk = this.disk.mount(env)
    let witness: Witness | null = null
    const opening = openLife({
      env,
      net: new MemoryNet(fabric, env, this.id),
      options: { id: this.id, cluster, advertise: address, peerSecret: secret, priority: this.priority },
      disk,
      machine: (name, use) => {
        if (use === 'restore') return this.#machine(name, disk, env).machine
        this.#identify()
        witness = new Witness(this.#machine(name, disk, env), this.#parts.onlooker(this))
        return witness
      },
      limits: this.limits,
      space: this.space,
      ...(this.versionMax !== null && { versionMax: this.versionMax }),
      ...(this.#admit !== null && { join: incarnation => this.#join(env, incarnation) }),
      founding: () => {},
      changed: () => this.changed(),
      failed: error => this.failed(life, error),
      renewed: () => this.renewed(life),
      say: line => found(this, line),
      halt: new AbortController().signal
    })
    const { broken } = this.#parts
    opening
      .then(
        opened => this.#opened(life, opened, witness!),
        (error: Error) => this.#refused(life, error)
      )
      // What a life begins with may break an invariant.
      .catch(broken)
  }

  /** Knocks until it is let in, as `stretto start --join` does. */
  #join(env: Env, incarnation: string): Promise<Founded> {
    const { clusterId } = this.#parts
    return new Promise(resolve => {
      const knock = (): void => {
        if (this.#admit!(incarnation)) resolve({ clusterId: clusterId(), membership: nobody })
        else env.after(knockAgainMs, knock)
      }
      knock()
    })
  }

  /** From its first message on it must be known who it is. */
  #identify(): void {
    this.key = keyOf(this)
  }

  #machine(name: string, disk: MountedDisk, env: Env): SimMachine {
    let vault = this.#vaults.get(name)
    if (vault === undefined) {
      vault = new MemoryVault({ soon: turn => void this.#parts.world.after(0, null, turn) })
      this.#vaults.set(name, vault)
    }
    return this.#parts.machine({ env, vault, level: disk.state(name) })
  }

  #opened(life: Life, opened: NodeLife, witness: Witness): void {
    if (life.over) return
    this.#open = opened
    this.node = opened.node
    this.machine = witness
    this.replicated = opened.replicated
    this.log = opened.log
    const { base, ends } = logOf(this)
    this.#parts.began(this, base, ends)
    this.changed()
  }

  /**
   * The disk is full, and another life waits for room; or it cannot be used, or the cluster knows this node with another disk:
   * the process ends with one line.
   */
  #refused(life: Life, error: Error): void {
    if (life.over) return
    if (isBug(error)) {
      this.#parts.broken(error)
      return
    }
    if (lacksSpace(error)) return this.failed(life, error)
    this.#parts.found(this, error.message)
    if (error instanceof StrettoError && error.message.includes('members replace')) this.lost = true
    this.crash('killed')
  }

  protected closeLife(_node: Node | null, closed: () => void): void {
    const opened = this.#open
    this.#open = null
    if (opened === null) closed()
    else void opened.close().then(closed)
  }

  protected die(): void {
    this.#open = null
  }

  rot(): boolean {
    const kind = rotKinds[this.random.below(rotKinds.length)]!
    return this.disk.rot(kind, below => this.random.below(below)) !== null
  }
}

function keyOf({ id, disk }: SimNode): MemberKey {
  return memberKey(id, disk.view.incarnation)
}

/** The log as it stands on disk just after it has been opened, when all of it is durable. */
function logOf({ disk: { view } }: SimNode): { readonly base: ChainedId; readonly ends: readonly BlockEnd[] } {
  const base: ChainedId = view.base ?? { index: 0, term: 0, chain: 0 }
  const ends: BlockEnd[] = []
  let previousChain = base.chain
  for (let index = base.index + 1; index <= (view.last?.index ?? 0); ) {
    const found = view.blockOf(index)
    if (found === null) break
    const { first, count, term, chain } = found.card
    ends.push({ first, last: first + count - 1, term, previousChain, chain })
    previousChain = chain
    index = first + count
  }
  return { base, ends }
}
