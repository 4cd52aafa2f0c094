// Plain numbers that the hot path adds to; whoever wants metrics reads them when asked.

export interface Counters {
  turns: number
  /** Records and bytes proposed here as leader. */
  proposedRecords: number
  proposedBytes: number
  blocksCut: number
  appliedRecords: number
  /** Requests refused, by reason. */
  refusedOverload: number
  refusedInvalid: number
  refusedLate: number
  refusedSpace: number
  /** Requests that were made to wait, because the disk fills. */
  slowed: number
  forwarded: number
  readRounds: number
  reads: number
  appendsSent: number
  appendBytesSent: number
  appendsDropped: number
  coldReads: number
  /** Cold reads that the disk refused or that came back damaged. */
  coldFailures: number
  /** Durable writes of the log, and the milliseconds they took in all. */
  logWrites: number
  logWriteMs: number
  flushes: number
  /** Times the log was cut at its beginning. */
  compactions: number
  snapshotsTaken: number
  snapshotBytesSent: number
  snapshotsInstalled: number
  /** Bytes of log and state that were read again to look for damage, and how often there was some. */
  scrubbedBytes: number
  damagesFound: number
  /** Proposed by this node as a leader. */
  hashRecords: number
  expiries: number
  /** Times that the state of this node was found to differ from that of a majority. */
  divergences: number
  elections: number
  leaderChanges: number
  /** Timers that came late by more than a heartbeat: the event loop had stalled. */
  stalls: number
}

export function newCounters(): Counters {
  return {
    turns: 0,
    proposedRecords: 0,
    proposedBytes: 0,
    blocksCut: 0,
    appliedRecords: 0,
    refusedOverload: 0,
    refusedInvalid: 0,
    refusedLate: 0,
    refusedSpace: 0,
    slowed: 0,
    forwarded: 0,
    readRounds: 0,
    reads: 0,
    appendsSent: 0,
    appendBytesSent: 0,
    appendsDropped: 0,
    coldReads: 0,
    coldFailures: 0,
    logWrites: 0,
    logWriteMs: 0,
    flushes: 0,
    compactions: 0,
    snapshotsTaken: 0,
    snapshotBytesSent: 0,
    snapshotsInstalled: 0,
    scrubbedBytes: 0,
    damagesFound: 0,
    hashRecords: 0,
    expiries: 0,
    divergences: 0,
    elections: 0,
    leaderChanges: 0,
    stalls: 0
  }
}
