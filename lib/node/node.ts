// The node: callbacks fill an inbox, a turn drains it, the core decides, and one Ready is acted upon.
import { readU64 } from '../base/bytes.ts'
import type { Cancel, Done, Env } from '../base/env.ts'
import type { StrettoError } from '../base/errors.ts'
import type { Log } from '../log/log.ts'
import type { Answer } from '../machine/answer.ts'
import { ClusterTime } from '../machine/cluster-time.ts'
import type { Input, Persist, Raft, Ready } from '../raft/doors.ts'
import type { Envelope } from '../raft/message.ts'
import type { Base, Index, LogId, MemberKey, Membership } from '../raft/types.ts'
import { blockHeaderBytes, recordAt } from '../record/record.ts'
import { Alarm } from './alarm.ts'
import { Applier } from './applier.ts'
import { Changes } from './changes.ts'
import { Compaction } from './compaction.ts'
import { type Counters, newCounters } from './counters.ts'
import { failedRefusal, hollowError, snapshotRefusal, stopped, stoppedRefusal } from './endings.ts'
import { Expiry } from './expiry.ts'
import { Feeding } from './feeding.ts'
import { Fitness, type Health } from './fitness.ts'
import { Hashes } from './hashes.ts'
import { Intake } from './intake.ts'
import { LentLog } from './lent-log.ts'
import { type NodeLimits, nodeLimits } from './limits.ts'
import type { NodeParts, PeerHealth, ReadTerms } from './parts.ts'
import { Reads } from './reads.ts'
import { Renewal } from './renewal.ts'
import { type Refusal, refusal, type WriteDone } from './result.ts'
import { Room } from './room.ts'
import { SnapshotReceiver } from './snapshot-receiver.ts'
import { defaultPriority, Succession } from './succession.ts'
import { Upgrade } from './upgrade.ts'

export class Node {
  readonly counters: Counters = newCounters()
  readonly limits: NodeLimits
  readonly raft: Raft
  readonly compaction: Compaction
  readonly upgrade: Upgrade
  /** Calls back when no flush of the state is under way. */
  readonly betweenFlushes = (then: () => void): void => this.#applier.betweenFlushes(then)
  readonly #parts: NodeParts
  readonly #env: Env
  readonly #log: Log
  readonly #intake: Intake
  readonly #reads = new Reads()
  readonly #applier: Applier
  readonly #feeding: Feeding
  readonly #receiver: SnapshotReceiver
  readonly #renewal: Renewal
  readonly #changes = new Changes()
  readonly #hashes: Hashes
  readonly #expiry: Expiry
  readonly #succession: Succession
  readonly #room: Room
  readonly #alarm: Alarm
  readonly #clusterTime = new ClusterTime()
  #inbox: Input[] = []
  #turnAsked = false
  #timeDue = false
  #sweeper: Cancel | null = null
  #lastHeard: number
  #led = false
  /** Term of the leader heard of last. */
  #leaderTerm = 0
  #inTurn = false
  #stopping = false
  #over = false

  constructor(parts: NodeParts) {
    const { env, raft, log, machine, transport, found, place, limits = nodeLimits } = parts
    const { counters } = this
    this.#parts = parts
    this.#env = env
    this.raft = raft
    this.#log = log
    this.limits = limits
    this.#lastHeard = env.now()
    this.#clusterTime.heard(parts.lastStamp)
    this.#alarm = new Alarm(env, counters, () => {
      this.#timeDue = true
      this.#wake()
    })
    const room = (this.#room = new Room({ raft, machine, transport, space: parts.space ?? null }))
    this.#intake = new Intake({ raft, log, machine, transport, clusterTime: this.#clusterTime, limits, counters, room })
    const applied = (answers: readonly Answer[]): void => this.#answered(answers)
    const failed = (error: Error): void => this.#fail(error)
    this.upgrade = new Upgrade({ raft, machine, found, halted: error => this.#reads.refuseAll(error) })
    this.#hashes = new Hashes({ ...parts, limits, counters, diverged: error => this.condemn(error) })
    this.#expiry = new Expiry({ env, raft, machine, counters, wake: () => this.#wake() })
    this.#succession = new Succession({
      raft,
      limits,
      fitness: new Fitness(limits),
      room,
      priority: parts.priority ?? defaultPriority,
      runs: peer => this.upgrade.runs(peer),
      step: input => this.#input(input),
      found
    })
    this.#feeding = new Feeding({
      env,
      raft,
      log,
      machine,
      transport,
      clusterTime: this.#clusterTime,
      limits,
      counters,
      betweenFlushes: this.betweenFlushes,
      found,
      wake: () => this.#wake(),
      damaged: error => this.#damaged(error)
    })
    this.#renewal = new Renewal({
      raft,
      log,
      counters,
      place,
      end: why => this.#end(why === 'snapshot' ? snapshotRefusal : failedRefusal),
      renewed: parts.renewed,
      failed: error => {
        this.#end(failedRefusal)
        parts.failed(error)
      }
    })
    const received = (base: Base): void => (this.#over ? undefined : this.#renewal.install(base))
    this.#receiver = new SnapshotReceiver({ state: () => log.base.state, place, received, found })
    const pin = (): Index => this.#feeding.snapshots.pin
    const compacted = (base: LogId): void => this.#input({ kind: 'compacted', base })
    this.compaction = new Compaction({ raft, log, machine, limits, counters, pin, compacted, failed })
    const damaged = (error: StrettoError): void => this.condemn(error)
    const flushed = (upTo: LogId): void => this.compaction.flushed(upTo)
    this.#applier = new Applier(
      { log, machine, limits, counters, applied, flushed, failed, damaged, hollow: raft.status.hollow },
      env.now()
    )
    log.watch(failed)
    machine.lend(new LentLog(log, env))
    transport.receive({
      message: envelope => this.#received(envelope),
      forwarded: (from, request, answer) => {
        if (this.#hashes.told(from, request) || room.told(from, request)) answer(nothing)
        else this.#forwarded(request, answer)
      },
      // After the turn that hears of the announcement before it.
      chunk: (from, chunk, answer) => env.soon(() => this.#receiver.piece(from, chunk, answer)),
      greeted: (peer, { boot, machine: versions, priority = defaultPriority }) => {
        this.upgrade.greeted(peer, versions)
        this.#succession.greeted(peer, priority)
        this.#input({ kind: 'greeted', peer, boot })
      },
      closed: (peer, hint) => {
        this.upgrade.closed(peer)
        this.#input(hint ? { kind: 'link-closed', peer } : { kind: 'unreachable', peer })
      }
    })
  }

  /** Begins: dials the members, and waits for a leader or becomes one. */
  start(): void {
    const { index } = this.#log.base
    // What the life before has left undone is done in this one.
    if (index > 0) this.#parts.machine.compacted(index)
    if (this.#hashes.look()) return
    this.#parts.transport.connect(this.raft.status.membership.members)
    this.#sweep()
    this.#timeDue = true
    this.#wake()
  }

  /** Last index that readers can see. */
  get applied(): Index {
    return this.#applier.applied
  }

  /** Cluster time as this node knows it, milliseconds. */
  get clusterTime(): number {
    return this.#clusterTime.time
  }

  /** Milliseconds since this node last knew itself in touch with a leader; 0 on a leader. */
  get ageMs(): number {
    return this.raft.status.role === 'leader' ? 0 : this.#env.now() - this.#lastHeard
  }

  /** Bytes of requests that are not answered yet. */
  get pendingBytes(): number {
    return this.#intake.bytes
  }

  get waitingReads(): number {
    return this.#reads.count
  }

  /** Takes a draft record in (`record/record.ts`). `done` comes once. */
  write(draft: Uint8Array, done: WriteDone): void {
    if (this.#over || this.#stopping) return done(refusal('STOPPED', 'not-applied', 'the node has stopped'))
    this.#intake.take(draft, false, this.#env.now(), done)
    this.#wake()
  }

  /** Answers without error when the machine may be asked. */
  read(terms: ReadTerms, done: Done): void {
    const refusal = this.raft.status.hollow ? hollowError : this.upgrade.refusal
    const fault = this.#over || this.#stopping ? stopped : refusal
    if (fault !== null) return done(fault)
    if (this.#reads.admit(terms, this, this.#env.now(), done)) this.#wake()
  }

  /**
   * Changes the configuration to `target`, by way of a joint one; gives the index at which it is committed. Errors:
   * UNAVAILABLE, not applied, where it cannot be begun now; CONDITION_FAILED where it is refused; NOT_LEADER, of unknown
   * fate, where leadership was lost meanwhile.
   */
  change(target: Membership, done: Done<Index>): void {
    if (this.#over || this.#stopping) return done(stopped, 0)
    this.#input(this.#changes.begin(target, done))
  }

  /** Who is replicated to; empty on all but a leader. */
  peers(): PeerHealth[] {
    const { status } = this.raft
    const now = this.#env.now()
    return status.peers.map(key => {
      return { key, match: status.match(key), mode: status.mode(key), silentMs: now - status.heardAt(key) }
    })
  }

  /** How well disk and event loop keep up. */
  get health(): Health {
    return this.#succession.health(this.#env.now())
  }

  /** Lets go of a snapshot that is half received, after the end. */
  release(done: Done): void {
    this.#receiver.stop(done)
  }

  /** Hands leadership to another voter, or to the best of those that can take over at once. */
  transfer(to: MemberKey | null): void {
    this.#input({ kind: 'transfer', to: to ?? this.#succession.best(this.#env.now()) })
  }

  /** Ends this life: callers are answered, nothing is sent or written any more. The parts are the owner's to close. */
  stop(): void {
    this.#stopping = true
    // Where a caller stops the node out of one of its turns, that turn is brought to its end first.
    if (!this.#inTurn) this.#end(stoppedRefusal)
  }

  #forwarded(draft: Uint8Array, answer: (bytes: Uint8Array) => void): void {
    if (this.#over) return
    this.#intake.take(draft, true, this.#env.now(), result => answer(this.#parts.encode(result, draft)))
    this.#wake()
  }

  #received(envelope: Envelope): void {
    if (envelope.message.kind === 'append' && envelope.term >= this.raft.status.term) {
      this.#clusterTime.heard(envelope.message.time)
      this.#lastHeard = this.#env.now()
    }
    this.#input({ kind: 'receive', envelope })
  }

  #input(input: Input): void {
    if (this.#over) return
    this.#inbox.push(input)
    this.#wake()
  }

  #wake(): void {
    if (this.#turnAsked || this.#over) return
    this.#turnAsked = true
    this.#env.soon(() => {
      this.#turnAsked = false
      if (this.#over) return
      this.#inTurn = true
      try {
        this.#turn()
      } catch (error) {
        // A broken invariant ends this life of the node: it must not act on what it no longer understands.
        this.#fail(error as Error)
      }
      this.#inTurn = false
      if (this.#stopping) this.#end(stoppedRefusal)
    })
  }

  #turn(): void {
    const now = this.#env.now()
    const { raft } = this
    const { status } = raft
    this.counters.turns++
    this.upgrade.look(now)
    const inputs = this.#inbox
    this.#inbox = []
    for (const input of inputs) raft.step(input, now)
    if (this.#timeDue) {
      this.#timeDue = false
      raft.step({ kind: 'time' }, now)
    }
    this.#askReads(now)
    if (status.role === 'leader') this.#lead(now)
    const ready = raft.ready()
    if (ready !== null) this.#act(ready)
    if (status.role === 'leader') this.#feeding.feed(now)
    else if (status.leader !== null && this.#intake.heldCount > 0) this.#intake.forward(status.leader, now)
    this.#reads.release(this.applied)
    this.#applier.advance(status.commit, status.durable, now)
    this.#room.report()
    this.#alarm.set(Math.min(raft.wakeAt(), this.#expiry.wakeAt(now, this.#clusterTime.time)), now)
  }

  /** Reads of this turn share one ticket; without a leader they wait here. */
  #askReads(now: number): void {
    if (this.raft.status.leader === null) return
    const ticket = this.#reads.ticket()
    if (ticket === null) return
    this.counters.readRounds++
    this.raft.step({ kind: 'read', ticket }, now)
  }

  #lead(now: number): void {
    if (!this.#led) {
      this.#led = true
      this.counters.elections++
      this.#clusterTime.lead(now, this.#parts.machine.time)
    }
    const expiry = this.#expiry.order(this.#clusterTime.advance(now))
    const expiryIndex = this.#intake.propose(now, this.upgrade.order() ?? this.#hashes.order(now), expiry)
    if (expiry !== null) this.#expiry.proposed(expiryIndex)
    if (this.#intake.mayPropose) this.#wake()
  }

  #act(ready: Ready): void {
    if (ready.changed) this.#roleChanged()
    if (ready.persist !== null) this.#persist(ready.persist)
    for (const envelope of ready.send) this.#parts.transport.send(envelope)
    for (const { ticket, index } of ready.reads) this.#reads.granted(ticket, index)
    for (const { ticket } of ready.refused) this.#reads.again(ticket)
    this.#changes.settle(ready.changes)
    if (ready.offer !== null) this.#receiver.offered(ready.offer)
    if (ready.changed) this.#parts.changed()
  }

  /** A read has found the state damaged: the next life begins without it. */
  condemn(error: StrettoError): void {
    if (!this.#over) this.#renewal.condemn(error)
  }

  #persist(persist: Persist): void {
    const begun = this.#env.now()
    const last = persist.blocks.at(-1)
    if (last !== undefined) this.#clusterTime.heard(readU64(last.bytes, blockHeaderBytes + recordAt.time))
    this.#succession.fitness.writeBegan(persist.mark, begun)
    this.#log.write(persist, error => {
      if (this.#over) return
      this.#succession.fitness.writeEnded(persist.mark, this.#env.now())
      if (error !== null) {
        this.#fail(error)
        return
      }
      this.counters.logWrites++
      this.counters.logWriteMs += this.#env.now() - begun
      this.#input({ kind: 'persisted', mark: persist.mark })
    })
  }

  #roleChanged(): void {
    const { status } = this.raft
    if (status.leader !== null && status.term !== this.#leaderTerm) {
      this.#leaderTerm = status.term
      this.counters.leaderChanges++
    }
    if (status.role !== 'leader' && this.#led) {
      this.#led = false
      this.#clusterTime.follow()
      this.#feeding.rest()
      this.#intake.leadershipLost(this.#env.now())
    }
    this.#parts.transport.connect(status.membership.members)
  }

  /** A log that cannot be read cannot feed the others: whoever holds it whole leads better. */
  #damaged(error: Error): void {
    if (this.#over) return
    this.counters.coldFailures++
    this.#parts.found(error.message)
    this.#input({ kind: 'transfer', to: null })
  }

  #answered(answers: readonly Answer[]): void {
    if (this.#hashes.look()) return
    this.#intake.answered(answers)
    this.#reads.release(this.applied)
    this.#wake()
  }

  /** Looks at deadlines and at the age of the state on disk, a few times a second. */
  #sweep(): void {
    const due = this.#env.now() + this.limits.sweepMs
    this.#sweeper = this.#env.after(this.limits.sweepMs, () => {
      if (this.#over) return
      const now = this.#env.now()
      this.#succession.fitness.late(now - due, now)
      this.#succession.look(now)
      this.compaction.look()
      this.#intake.expire(now)
      if (this.#intake.mayPropose) this.#wake()
      this.counters.refusedLate += this.#reads.expire(now)
      this.#applier.advance(this.raft.status.commit, this.raft.status.durable, now)
      if (!this.#over) this.#sweep()
    })
  }

  #fail(error: Error): void {
    if (this.#over) return
    this.#end(failedRefusal)
    this.#parts.failed(error)
  }

  #end(reason: Refusal): void {
    if (this.#over) return
    this.#over = true
    this.#alarm.stop()
    this.#sweeper?.()
    this.#applier.stop()
    this.#inbox = []
    this.#feeding.stop()
    this.#intake.end(reason)
    this.#reads.refuseAll(stopped)
    this.#changes.refuseAll(stopped)
  }
}

const nothing = new Uint8Array(0)
