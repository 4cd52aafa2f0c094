// The stage of a directed scenario: a simulated cluster, and the few things that all scenarios do, waited for in virtual time.
import { writeU64 } from '../../lib/base/bytes.ts'
import { fateOf, verdictOf } from '../../lib/machine/answer.ts'
import type { WriteResult } from '../../lib/node/result.ts'
import type { Envelope } from '../../lib/raft/message.ts'
import { type Block, type Index, lastOf, type Membership } from '../../lib/raft/types.ts'
import { commandAt, commandHeadBytes, recordKind, writeCommandHead } from '../../lib/record/record.ts'
import { SimCluster, type SimOptions, type Spectator } from '../../lib/sim/cluster.ts'
import { memoryMachines } from '../../lib/sim/ghost/machines.ts'
import { hold } from '../../lib/sim/ghost/violation.ts'
import { ShallowNode } from '../../lib/sim/node/shallow-node.ts'
import type { SimNode } from '../../lib/sim/node/sim-node.ts'
import { draftOf, Tally } from './tally.ts'

/** An answer that may not have come yet. */
export interface Pending<T> {
  /** Null before it has come. */
  result: T | null
}

/** A message that is held back. */
export interface HeldMessage {
  readonly envelope: Envelope
  readonly release: () => void
}

const patienceMs = 30_000

export class Scene {
  readonly cluster: SimCluster
  /** Each message as it leaves. */
  onSent: (envelope: Envelope) => void = () => {}
  /** What an operator would read, with the id of the node. */
  readonly lines: string[] = []
  readonly #serials = new Map<number, number>()

  constructor(options: Partial<SimOptions> & Pick<SimOptions, 'seed' | 'nodes'>) {
    const machine = memoryMachines(() => new Tally())
    const spectator: Spectator = {
      sent: envelope => this.onSent(envelope),
      delivered: () => {},
      dropped: () => {},
      answered: () => {},
      looked: () => {},
      began: () => {},
      ended: () => {},
      found: (node, line) => void this.lines.push(`${node.id}: ${line}`)
    }
    this.cluster = new SimCluster({ depth: 'shallow', machine, syncMsMax: 0.5, ...options, spectator })
  }

  get now(): number {
    return this.cluster.world.now
  }

  async pass(ms: number): Promise<void> {
    await this.cluster.play(ms)
  }

  /** Waits until it holds; that it does is what `invariant` promises. */
  async until(invariant: string, text: string, condition: () => boolean, ms = patienceMs): Promise<void> {
    const met = condition() || (await this.cluster.play(ms, condition))
    hold(met, invariant, () => `${text}, and not so after ${ms} ms: ${this.#story()}`)
  }

  /** Waits for a leader among these that has committed in its term and has all nodes of `among` follow it. */
  async elect(among: readonly SimNode[] = this.cluster.nodes, ms = patienceMs): Promise<SimNode> {
    let leader: SimNode | null = null
    const elected = (): boolean => {
      leader = null
      for (const node of among) {
        const status = node.node?.raft.status
        if (status?.role !== 'leader' || status.owesNoop || status.commit !== status.last.index) continue
        if (leader === null || leader.node!.raft.status.term < status.term) leader = node
      }
      const key = leader?.key
      return leader !== null && among.every(each => each.node === null || each.node.raft.status.leader === key)
    }
    await this.until('IL1', 'one of a majority leads and commits', elected, ms)
    return leader!
  }

  others(...nodes: readonly SimNode[]): SimNode[] {
    return this.cluster.nodes.filter(node => !nodes.includes(node))
  }

  /** Nothing passes between the two sides any more, until the returned function is called. */
  part(one: readonly SimNode[], two: readonly SimNode[]): () => void {
    const [a, b] = [one.map(node => node.id), two.map(node => node.id)]
    const lifts = [this.cluster.wires.cut(a, b), this.cluster.wires.cut(b, a)]
    return () => {
      for (const lift of lifts) lift()
    }
  }

  /** Nobody reaches these, and they reach nobody. */
  isolate(...nodes: readonly SimNode[]): () => void {
    const lifts = nodes.map(node => this.part([node], this.others(node)))
    return () => {
      for (const lift of lifts) lift()
    }
  }

  /** Messages of a shallow cluster that `which` chooses are held back from now on, until they are released or forgotten. */
  hold(which: (envelope: Envelope) => boolean): HeldMessage[] {
    const held: HeldMessage[] = []
    this.cluster.network.hold = (envelope, release) => which(envelope) && held.push({ envelope, release }) > 0
    return held
  }

  letAllPass(): void {
    this.cluster.network.hold = null
  }

  /** A record with one command, the next of this session. */
  draft(command: string, session = 1): Uint8Array {
    const serial = (this.#serials.get(session) ?? 0) + 1
    this.#serials.set(session, serial)
    return draftOf([command], { session, serial })
  }

  begin(node: SimNode, draft: Uint8Array): Pending<WriteResult> {
    const pending: Pending<WriteResult> = { result: null }
    node.node!.write(draft, result => void (pending.result = result))
    return pending
  }

  /** Gives a command to a leader and waits until it says that it is applied. */
  async write(node: SimNode, draft: Uint8Array = this.draft('x')): Promise<WriteResult> {
    const pending = this.begin(node, draft)
    await this.until('IL5', 'a write is answered', () => pending.result !== null)
    const result = pending.result!
    if (result.kind === 'answer') this.cluster.checks.answered(node.key, result.answer.term, result.answer.index)
    return result
  }

  /** Asks a leader for the configuration of these voters and learners. */
  beginChange(node: SimNode, voters: readonly SimNode[], learners: readonly SimNode[] = []): Pending<Index | Error> {
    const pending: Pending<Index | Error> = { result: null }
    node.node!.change(membershipOf(voters, learners), (error, index) => void (pending.result = error ?? index))
    return pending
  }

  /** The same, and waits until it is committed there. */
  async change(node: SimNode, voters: readonly SimNode[], learners: readonly SimNode[] = []): Promise<void> {
    const pending = this.beginChange(node, voters, learners)
    await this.until('IL5', 'a change is answered', () => pending.result !== null)
    if (pending.result instanceof Error) throw pending.result
  }

  /** From now on states are flushed often, and logs are cut as soon as they have this many bytes. */
  boundLogs(bytes: number): void {
    for (const { limits } of this.cluster.nodes) {
      limits.logBytesMax = bytes
      limits.flushAfterMs = 200
    }
  }

  /** A node that is away while the log is cut beyond what it has; its snapshot would come at this pace. */
  async leaveBehind(leader: SimNode, writes: number, bytesPerSecond: number): Promise<SimNode> {
    await this.write(leader)
    await this.level()
    const [absent] = this.others(leader)
    absent!.crash('killed')
    this.boundLogs(32_768)
    for (const { limits } of this.cluster.nodes) limits.snapshotBytesPerSecond = bytesPerSecond
    for (let at = 0; at < writes; at++) await this.write(leader, this.draft('x'.repeat(3_000)))
    await this.pass(500)
    return absent!
  }

  /** All commands that have been executed, as a linearizable read on this node tells. */
  beginRead(node: SimNode, patienceMs = 5_000): Pending<string[] | Error> {
    const pending: Pending<string[] | Error> = { result: null }
    node.node!.read({ point: 'linearizable', leastIndex: 0, patienceMs, enough: null }, error => {
      if (error !== null) pending.result = error
      else node.machine!.query(nothing, (_, bytes) => void (pending.result = commandsIn(bytes)))
    })
    return pending
  }

  async read(node: SimNode): Promise<string[]> {
    const pending = this.beginRead(node)
    await this.until('IL5', 'a read is answered', () => pending.result !== null)
    if (pending.result instanceof Error) throw pending.result
    return pending.result!
  }

  /** Waits until all of these have applied what the first of them holds. */
  async level(nodes: readonly SimNode[] = this.cluster.nodes): Promise<void> {
    await this.until('IL3', 'all come to the same end', () => {
      const last = nodes[0]!.node?.raft.status.last.index
      return nodes.every(({ node }) => node !== null && node.applied === last && node.raft.status.last.index === last)
    })
  }

  #story(): string {
    const tell = ({ id, node }: SimNode): string => {
      if (node === null) return `${id} is down`
      const { role, term, last, commit, trusted } = node.raft.status
      return `${id} ${role} of ${term} ends ${last.index}@${last.term} commits ${commit}${trusted ? '' : ' untrusted'}`
    }
    return this.cluster.nodes.map(tell).join('; ')
  }
}

/** The configuration, not joint, with these voters and learners. */
export function membershipOf(voters: readonly SimNode[], learners: readonly SimNode[] = []): Membership {
  const members = [...voters, ...learners].map(({ id, key, parts: { address } }) => {
    return { key, id, incarnation: key.slice(id.length + 1), address }
  })
  return {
    voters: voters.map(({ key }) => key),
    outgoing: null,
    learners: learners.map(({ key }) => key),
    members
  }
}

/** Who counts, and who learns, as a node sees it: `voters | outgoing | learners`, in order of name. */
export function configurationOf(node: SimNode): string {
  const { voters, outgoing, learners } = node.node!.raft.status.membership
  return [voters, outgoing ?? [], learners].map(keys => keys.toSorted().join()).join(' | ')
}

/** What a shallow node has on its disk. */
export function blocksOf(node: SimNode): Block[] {
  return (node as ShallowNode).image.blocks
}

/** Where the log on the disk of a shallow node ends. */
export function endOnDisk(node: SimNode): Index {
  const block = blocksOf(node).at(-1)
  return block === undefined ? 0 : lastOf(block)
}

/** The disk of a shallow node that is down has other blocks than it had. */
export function damage(node: SimNode, blocks: readonly Block[]): void {
  ;(node as ShallowNode).image.blocks = [...blocks]
  node.damaged = true
}

/** A shallow node that is down has lost the end of its log, all above `index`. */
export function loseEnd(node: SimNode, index: Index): void {
  damage(
    node,
    blocksOf(node).filter(block => lastOf(block) <= index)
  )
}

function commandsIn(bytes: Uint8Array): string[] {
  return JSON.parse(Buffer.from(bytes).toString()) as string[]
}

const nothing = new Uint8Array(0)

/** A record that asks what became of this serial, and takes the command back where it has not come; of a session of drafts. */
export function resolveOf(session: number, serial: number): Uint8Array {
  const draft = new Uint8Array(commandHeadBytes + 8)
  const like = draftOf([], { session, serial })
  const id = like.slice(commandAt.session, commandAt.count)
  writeCommandHead(draft, recordKind.resolve, { session: id, count: 1, serial, floor: 0, notAfter: 0 }, 5_000)
  writeU64(draft, commandAt.commands, serial)
  return draft
}

/** What a resolve record or a single command was told: that the command is applied, or that it never is. */
export function fateIn(result: WriteResult | null): 'applied' | 'not-applied' | 'unknown' {
  if (result?.kind === 'refused') return result.fate
  if (result?.kind !== 'answer') return 'unknown'
  const { answer } = result
  if (answer.refused !== null) return answer.refused.fate
  const { status } = verdictOf(answer, 0)
  return status === 0 ? 'applied' : fateOf(status)
}
