// What an application implements to be replicated: a deterministic state machine, and the shapes it meets.
import type { Done } from '../base/env.ts'
import type { StrettoError } from '../base/errors.ts'
import type { Block, Index, LogId } from '../raft/types.ts'
import type { Feed, FeedSink } from './feed.ts'

/**
 * A machine that keeps its own disk. `apply` is a function of the state and the batches alone: no clock, no chance, no
 * outside. It is called in log order, one batch list at a time. The machine may read from its disk first; it then
 * changes its state in one go and answers. A refused or malformed command is an outcome, never a throw.
 */
export interface StateMachine {
  /** Opens what is on disk. `durable` is the last record contained in it; its sidecar is what `flush` was given with it. */
  open(done: Done<{ readonly durable: LogId; readonly sidecar: Uint8Array | null }>): void
  /** The highest machine version whose rules it can follow; 1 where it is absent. */
  readonly versionMax?: number
  /**
   * The machine version in force for all that is applied from now on, 1 until it is told: said after `open`, and when the
   * log asks for another one, between two calls of `apply`.
   */
  version?(inForce: number): void
  /**
   * What is wrong with the commands of a record, or null: called on the leader before it is proposed. Pure, but for the
   * version in force: what waits for a higher one is UNAVAILABLE, and is sent again after `retryAfterMs`.
   */
  check(commands: Uint8Array, count: number): StrettoError | null
  /**
   * Whether commands that `check` has passed may make the state larger: those are refused when the disk is nearly full, so
   * that what makes room can go on. Called on the leader, pure; where it is absent every command is taken to grow.
   */
  grows?(commands: Uint8Array, count: number): boolean
  /**
   * Whether commands keep something alive that would fall due without them: they go before others, and are taken in when
   * others are refused for want of room. Called for each request, before `check`: a look at the first bytes must do.
   */
  isUrgent?(commands: Uint8Array, count: number): boolean
  /**
   * Cluster time in milliseconds: once it is past, the leader writes an expiry record (a batch of that kind), one after the
   * other as long as it stays past. Infinity, as where it is absent: there is nothing to come.
   */
  readonly dueAt?: number
  /** The log that is applied, for reading what has been: said once, before the first `apply`. */
  lend?(log: LogReader): void
  /**
   * The command record at `index` was refused or had been executed before, as a whole: it changes nothing, and no batch
   * brings it. Said in the course of the `apply` whose batches stand around it.
   */
  passed?(index: Index): void
  /** `batches` may be empty. The answer holds one `Outcomes` for each batch, in order. */
  apply(batches: readonly Batch[], done: Done<readonly Outcomes[]>): void
  /**
   * Answers a question from the present state; the bytes are the machine's own language. `time` is cluster time as this node
   * knows it, for answers that say how long something still lasts; 0 where it is not known.
   */
  query(request: Uint8Array, done: Done<Uint8Array>, time?: number): void
  /** Opens a stream of pages at the present state, which stays as it is for the reader while `apply` goes on. */
  scan(request: Uint8Array): Source
  /** Where the watches of one link are told what changes; absent where nothing can be watched. */
  feed?(sink: FeedSink): Feed
  /** One atomic durable step: the state at `upTo`, which is all that has been applied when it is called, and the sidecar. */
  flush(upTo: LogId, sidecar: Uint8Array, done: Done): void
  /** Bytes that only memory holds: what asks for a flush. */
  readonly unflushedBytes: number
  /**
   * Freezes the state as the last flush made it durable, and gives it as bytes; it stays so for the reader while `apply`
   * and `flush` go on. Null before the first flush. Called between two flushes: not while one is under way, but the next
   * may begin as soon as the call has returned. CORRUPT where a part of the state is damaged, which is not sent on.
   */
  snapshot(done: Done<SnapshotSource | null>): void
  /**
   * Instead of `open`, on a machine over an empty place: takes a snapshot in. The machine then serves nothing; it is closed
   * after `end` or to give up, and a new one opens the place. What is left of a snapshot that did not come to its `end`
   * is never opened as a state.
   */
  restore(): SnapshotSink
  /**
   * The log is to be cut after `base`, which is at or below what is flushed. Calls back when that may be done, at leisure: what
   * the machine still needs of it then stands elsewhere. May be called again before the log is cut, after the answer.
   */
  leaves?(base: Index, done: Done): void
  /** What is at or below it in the log is not needed by the machine any more, and may be cut whether there is room or not. */
  readonly released?: Index
  /**
   * The log begins after `base`: a place in it at or below names nothing any more. What names such places (older versions,
   * effects) may be let go of at leisure. `base` is at or below what is flushed, never falls, and may be said again: once
   * in each life, so that what the life before left undone is done.
   */
  compacted(base: Index): void
  close(done: Done): void
}

/** Reads what a machine has been given to apply, for as long as the log holds it. */
export interface LogReader {
  /** The log begins after it. Never falls. */
  readonly base: Index
  /** The end of the oldest blocks that would have to go so that at most `bytes` follow; the base where none has to. */
  endBefore(bytes: number): Index
  /**
   * Whole blocks from the one that holds `from`, which has been applied, until `bytesMax` is reached (always one); later ones
   * than were applied may follow. Null where it is gone, `from` being at or below the base. Never answers inside the call.
   * UNAVAILABLE where the log cannot be read there.
   */
  read(from: Index, bytesMax: number, done: Done<readonly Block[] | null>): void
}

/** A frozen state as a stream of bytes, the same however and however often it is read. */
export interface SnapshotSource {
  /** The last record contained. */
  readonly last: LogId
  /** What `flush` was given with it. */
  readonly sidecar: Uint8Array
  /** Bytes in all. */
  readonly size: number
  /** CRC-32 of all of them. */
  readonly hash: number
  /**
   * From `offset` on, at most `bytesMax`, fewer only at the end. The caller may keep the bytes. One call at a time; it is
   * made for offsets that go on from the last read, and going elsewhere may cost a little reading. CORRUPT where a part of
   * the state is found damaged: it must not be sent, and nothing more comes.
   */
  read(offset: number, bytesMax: number, done: Done<Uint8Array>): void
  /** Lets go of what is frozen. A read under way is answered with an error. */
  close(): void
}

/** Takes in the bytes of a `SnapshotSource`. After an error only `close` of the machine is left. */
export interface SnapshotSink {
  /**
   * In order and without a gap; the next call comes after the answer, and until then the bytes stay as they are. CORRUPT
   * where they are none of ours.
   */
  write(bytes: Uint8Array, done: Done): void
  /**
   * All has come: when this is answered without error, all of it is on stable storage together with its sidecar, to be
   * opened. Gives what it contains. CORRUPT where something is missing or is not what the source had.
   */
  end(done: Done<{ readonly last: LogId; readonly sidecar: Uint8Array }>): void
}

/** The commands of one record that are to be executed, in order. */
export interface Batch {
  readonly index: Index
  /** Cluster time of the record's stamp in milliseconds: the only clock there is. */
  readonly time: number
  /** `command`: of a client session. `expiry`: the leader found something due at `time`. */
  readonly kind: 'command' | 'expiry'
  /** The msgpack array of all commands of the record; a view into `block.bytes`. Empty for `expiry`. */
  readonly commands: Uint8Array
  /** Number of commands in the array. */
  readonly count: number
  /** Commands that must not be executed, because they were before or are refused; null: execute all. */
  readonly skip: readonly boolean[] | null
  /** Where the bytes live: they stay as they are, so a place in them may be kept instead of a copy. */
  readonly block: Block
  /** Where the record begins in `block.bytes`: session, serial and flags stand there (layout: `record/record.ts`). */
  readonly at: number
}

/** What became of the commands of one batch, one entry each; skipped commands have none of their own. */
export interface Outcomes {
  /** Revision of the store after the first command that was executed; each further one that changed something adds 1. */
  readonly revision: number
  /**
   * Null: every command was executed, changed something, and has nothing to say but its revision. Else one place for each
   * command of the record, null where it was skipped.
   */
  readonly each: readonly (Outcome | null)[] | null
  /**
   * What else the batch did, as a number of 32 bits: replicas whose states came to differ are found by it where revision,
   * status and answer would not show it. A function of the state and the batch alone; 0 when absent.
   */
  readonly digest?: number
}

export interface Outcome {
  /** 0: executed; else the number of an error code (`base/errors.ts`), and nothing was changed. */
  readonly status: number
  readonly revision: number
  /** The answer in the machine's own language; null when there is none but the revision. */
  readonly answer: Uint8Array | null
}

/** Pages of a scan, each asked for. */
export interface Source {
  /** The next page of about `bytesMax`; `last` when none follows. One call at a time. */
  page(bytesMax: number, done: Done<{ readonly bytes: Uint8Array; readonly last: boolean }>): void
  close(): void
}
