// Bounds of a node, in bytes and milliseconds. Reaching one is a typed refusal or a pause, never growth.

export interface NodeLimits {
  /** Requests taken in and not yet in the log: held without a leader, or waiting for their turn. */
  readonly heldBytesMax: number
  /** Of those that keep something alive, as renewals of leases do: on top, and on top of what is in the log. */
  readonly urgentBytesMax: number
  /** In the log and not yet applied here, or not yet on the own disk: beyond either a leader takes no more in. */
  readonly uncommittedBytesMax: number
  /** Proposed in one turn; the rest waits for the next. */
  readonly turnBytesMax: number
  /** Sent to one peer and not yet acknowledged. */
  readonly inFlightBytesMax: number
  /** Brought by one append, and applied at once. */
  readonly appendBytesMax: number
  /** Patience of a request that names none, and the most that one may ask for. */
  readonly patienceMsDefault: number
  readonly patienceMsMax: number
  /** Reads that wait, their questions included. */
  readonly readBytesMax: number
  /** What asks for a flush of the state: bytes only in memory, bytes of log since the last one, or time. */
  readonly flushStateBytes: number
  readonly flushLogBytes: number
  readonly flushAfterMs: number
  /** What the log may grow to on disk before it is cut; twice as much while a follower that answers still needs it. */
  readonly logBytesMax: number
  readonly logRecordsMax: number
  /** The pace of a snapshot that is sent, so that the commands of clients hardly notice. */
  readonly snapshotBytesPerSecond: number
  /** A peer that was not heard for so long is sent none. */
  readonly snapshotSilenceMsMax: number
  /** A write of the log that takes longer shows a disk that does not keep up. */
  readonly diskStallMs: number
  /** So late a turn comes when the event loop stands; so often within the window, and it does not keep up. */
  readonly loopStallMs: number
  readonly loopStallsMax: number
  readonly loopWindowMs: number
  /** For how long a node must be without fault to be fit again. */
  readonly fitAfterMs: number
  /** A leader that is not fit and finds no successor steps down after this, where that helps. */
  readonly giveWayMs: number
  /** How soon it asks again who has not taken over. */
  readonly giveWayAgainMs: number
  /** For how long a voter of a higher priority must be level before it is made the leader. */
  readonly preferMs: number
  /** No leader hands over to a preferred voter more often than this. */
  readonly preferAgainMs: number
  /** The states of all replicas are compared after so many records or bytes, or so long after the first of them. */
  readonly hashRecords: number
  readonly hashBytes: number
  readonly hashAfterMs: number
  /** All of log and state is read again to look for damage: first so long after the start, then so long after the last time. */
  readonly scrubAfterMs: number
  readonly scrubEveryMs: number
  /** How often deadlines are looked at. */
  readonly sweepMs: number
}

export const nodeLimits: NodeLimits = {
  heldBytesMax: 33_554_432,
  urgentBytesMax: 8_388_608,
  uncommittedBytesMax: 67_108_864,
  turnBytesMax: 1_048_576,
  inFlightBytesMax: 4_194_304,
  appendBytesMax: 1_048_576,
  patienceMsDefault: 5_000,
  patienceMsMax: 60_000,
  readBytesMax: 33_554_432,
  flushStateBytes: 33_554_432,
  flushLogBytes: 67_108_864,
  flushAfterMs: 3_000,
  logBytesMax: 1_073_741_824,
  logRecordsMax: 16_777_216,
  snapshotBytesPerSecond: 33_554_432,
  snapshotSilenceMsMax: 1_000,
  diskStallMs: 1_000,
  loopStallMs: 600,
  loopStallsMax: 1,
  loopWindowMs: 10_000,
  fitAfterMs: 5_000,
  giveWayMs: 2_400,
  giveWayAgainMs: 10_000,
  preferMs: 10_000,
  preferAgainMs: 60_000,
  hashRecords: 10_000,
  hashBytes: 16_777_216,
  hashAfterMs: 10_000,
  scrubAfterMs: 600_000,
  scrubEveryMs: 86_400_000,
  sweepMs: 50
}
