// Tells a trace what happens in a run: what nodes say, do and suffer, and what their clients ask.
import type { Envelope } from '../raft/message.ts'
import type { Index, MemberKey, Term } from '../raft/types.ts'
import type { SimCluster, Spectator } from './cluster.ts'
import type { FaultEvent } from './faults.ts'
import type { FaultListener } from './nemesis.ts'
import type { SimNode } from './node/sim-node.ts'
import type { TracedFault, TracedMessage } from './trace/events.ts'
import type { TraceSink } from './trace/trace.ts'
import type { CallListener } from './workload.ts'

export class Telling implements Spectator, FaultListener {
  readonly #sink: TraceSink
  readonly #cluster: () => SimCluster
  readonly #open = new Set<TracedFault>()
  readonly #onTheirWay = new WeakMap<Envelope, TracedMessage>()

  constructor(sink: TraceSink, cluster: () => SimCluster) {
    this.#sink = sink
    this.#cluster = cluster
  }

  get #now(): number {
    return this.#cluster().world.now
  }

  sent(envelope: Envelope): void {
    this.#onTheirWay.set(envelope, this.#sink.sent(this.#now, envelope))
  }

  delivered(envelope: Envelope): void {
    const message = this.#onTheirWay.get(envelope)
    if (message === undefined) return
    const second = message.fate !== 'under way'
    this.#sink.delivered(this.#now, second ? this.#sink.copied(this.#now, message) : message)
  }

  dropped(envelope: Envelope, why: string): void {
    const message = this.#onTheirWay.get(envelope)
    if (message?.fate === 'under way') this.#sink.dropped(this.#now, message, why)
  }

  answered(_node: MemberKey, _term: Term, _index: Index): void {}

  looked(node: SimNode): void {
    const { raft, applied } = node.node!
    this.#sink.look(this.#now, node.id, raft.status, applied)
  }

  began({ id, disk }: SimNode): void {
    this.#sink.life(this.#now, id, 'started', null, `start ${disk.view.memory?.boot ?? ''}`.trim())
  }

  ended({ id, life }: SimNode): void {
    this.#sink.life(this.#now, id, life === null ? 'crashed' : 'failed')
  }

  struck({ kind, amount }: FaultEvent, nodes: readonly SimNode[], until: number): void {
    const whom = nodes.map(({ id }) => id)
    const lasts = until > this.#now ? until : null
    this.#open.add(this.#sink.fault(this.#now, kind, String(amount), whom, lasts))
    if (kind !== 'pause' && kind !== 'stall') return
    for (const id of whom) this.#sink.life(this.#now, id, kind === 'pause' ? 'paused' : 'stalled', until)
  }

  lifted(): void {
    for (const fault of this.#open) if ((fault.until ?? 0) > this.#now) this.#sink.faultEnded(this.#now, fault)
  }

  found(node: SimNode, line: string): void {
    this.#sink.note(this.#now, node.id, line)
  }

  readonly call: CallListener = (process, text) => {
    const call = this.#sink.called(this.#now, process, null, text)
    return (outcome, answer) => this.#sink.answered(this.#now, call, outcome, answer)
  }
}
