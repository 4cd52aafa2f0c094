// A node from outside: it knocks at the cluster until it is let in, and sees to its own place in it from then on.
import type { Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import { MachineClient } from '../client/machine-client.ts'
import { OpenError } from '../log/faults.ts'
import type { Membership } from '../raft/types.ts'
import type { Founded } from '../transport/founding.ts'
import type { Net } from '../transport/net.ts'
import type { Life } from './life.ts'
import type { ServerOptions } from './options.ts'

export interface JoinerParts {
  readonly env: Env
  /** For links of clients. */
  readonly net: Net
  readonly options: Pick<ServerOptions, 'id' | 'advertise' | 'join' | 'learner'>
  /** Where this process reaches itself: `host:port`. */
  readonly ownAddress: () => string
  readonly life: () => Life | null
  /** Why it is no member yet; null once it is. */
  readonly waiting: (reason: string | null) => void
  readonly say: (line: string) => void
  /** This node has no place in the cluster any more. */
  readonly ended: (error: Error) => void
}

const knockAgainMs = 500
const knockTimeoutMs = 3_000
const tendMs = 1_000
/** A node that has heard of no leader for so long asks whether it is a member still. */
const forsakenMs = 3_000
const nobody: Membership = { voters: [], outgoing: null, learners: [], members: [] }

export class Joiner {
  readonly #parts: JoinerParts
  readonly #halt = new AbortController()
  #client: MachineClient | null = null
  #tending = false
  #wasMember = false
  /** An operator wants it to stay a learner. */
  #stays: boolean
  #isAtHome: boolean
  /** When it was last in touch with a leader, or began to look. */
  #touchAt: number

  constructor(parts: JoinerParts) {
    this.#parts = parts
    this.#stays = parts.options.learner
    this.#isAtHome = parts.options.join.length === 0
    this.#touchAt = parts.env.now()
  }

  /** Comes back when the leader has let this incarnation in: with the id of the cluster, and no member known yet. */
  async knock(incarnation: string): Promise<Founded> {
    const { id, advertise: address, join, learner } = this.#parts.options
    const client = this.#connect(join)
    const place = `waiting to be admitted to the cluster at ${join.join(', ')}`
    this.#parts.waiting(place)
    const { signal } = this.#halt
    try {
      for (;;) {
        signal.throwIfAborted()
        try {
          const knock = { id, incarnation, address, learner }
          const { clusterId, staysLearner } = await client.cluster.join(knock, { timeout: knockTimeoutMs, signal })
          this.#stays ||= staysLearner
          this.#isAtHome = true
          return { clusterId, membership: nobody }
        } catch (error) {
          if (!(error instanceof StrettoError)) throw error
          this.#parts.waiting(`${place}: ${error.message}`)
        }
        await this.#pause(knockAgainMs)
      }
    } finally {
      this.#parts.waiting(null)
      void client.close()
    }
  }

  /** Begins to look after the place of this node in the cluster, now and then, as long as it runs. */
  tend(): void {
    if (this.#tending) return
    this.#tending = true
    void this.#tend()
  }

  close(): void {
    this.#halt.abort(new StrettoError('STOPPED', 'the node has been stopped'))
    void this.#client?.close()
  }

  async #tend(): Promise<void> {
    while (!this.#halt.signal.aborted) {
      const life = this.#parts.life()
      try {
        if (life !== null) await this.#look(life)
      } catch (error) {
        // Asked again a second later: meanwhile it may be level, or the cluster have a leader.
        if (!(error instanceof StrettoError)) throw error
      }
      await this.#pause(tendMs)
    }
  }

  async #look(life: Life): Promise<void> {
    const { id, advertise } = this.#parts.options
    const { raft } = life.node
    const { self, membership, leader, commit } = raft.status
    const now = this.#parts.env.now()
    if (leader !== null) this.#touchAt = now
    if (!this.#isAtHome) await this.#findHome(life)
    const own = membership.members.find(member => member.key === self)
    if (own === undefined) {
      // A log that is still behind may not know of this member yet: only one that has known it tells of its end.
      const isLast = raft.membershipAt(commit) === membership && membership.outgoing === null
      if (this.#wasMember && isLast) this.#leave()
      else if (now - this.#touchAt > forsakenMs) await this.#askForItself(life)
      return
    }
    this.#wasMember = true
    const incarnation = own.incarnation
    if (own.address !== advertise) {
      await this.#clientOf(life).cluster.move({ id, incarnation, address: advertise }, this.#terms)
      this.#parts.say(`the cluster reaches this node at ${advertise} now`)
    } else if (now - this.#touchAt > forsakenMs) {
      await this.#askForItself(life)
    } else if (membership.learners.includes(self) && !this.#stays && life.hasCaughtUp) {
      const members = await this.#clientOf(life).cluster.promoteSelf(id, this.#terms)
      this.#stays = members.some(member => member.incarnation === incarnation && member.role === 'learner')
    }
  }

  /** No leader speaks to this node: it may have been removed while it was away. */
  async #askForItself(life: Life): Promise<void> {
    const members = await this.#clientOf(life).cluster.members(this.#terms)
    const { incarnation } = life.memory.memory
    if (!members.some(member => member.incarnation === incarnation && member.role !== 'waiting')) this.#leave()
  }

  #leave(): void {
    const { id } = this.#parts.options
    const text = `${id} has been removed from the cluster: to come back it needs an empty data directory, and --join`
    this.#parts.ended(new StrettoError('STOPPED', text))
    this.close()
  }

  /** A member needs no `--join`; one that names another cluster than that of the data directory is a mistake. */
  async #findHome(life: Life): Promise<void> {
    const client = this.#connect(this.#parts.options.join)
    try {
      await client.ready(this.#terms)
      const own = life.memory.memory.clusterId!
      if (client.clusterId === own) {
        this.#parts.say('this node is a member already: --join says nothing to it')
        this.#isAtHome = true
        return
      }
      const text = `the data directory belongs to cluster ${own}, and --join names cluster ${client.clusterId}`
      this.#parts.ended(new OpenError('foreign-cluster', `${text}: choose another by --data-dir`))
      this.close()
    } finally {
      void client.close()
    }
  }

  /** Asks the others, for this node may know no leader; alone in its cluster it asks itself. */
  #clientOf(life: Life): MachineClient {
    if (this.#client !== null) return this.#client
    const { self, membership } = life.node.raft.status
    const others = membership.members.filter(({ key }) => key !== self).map(({ address }) => address)
    const known = [...this.#parts.options.join, ...others]
    this.#client = this.#connect(known.length === 0 ? [this.#parts.ownAddress()] : known)
    return this.#client
  }

  #connect(addresses: readonly string[]): MachineClient {
    const { env, net, options } = this.#parts
    const endpoints = addresses.map(address => `ws://${address}`)
    return new MachineClient({ env, net }, endpoints, { name: `node ${options.id}` })
  }

  get #terms() {
    return { timeout: knockTimeoutMs, signal: this.#halt.signal }
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#halt
    return new Promise(resolve => {
      const end = (): void => {
        cancel()
        signal.removeEventListener('abort', end)
        resolve()
      }
      const cancel = this.#parts.env.after(ms, end)
      signal.addEventListener('abort', end)
      if (signal.aborted) end()
    })
  }
}
