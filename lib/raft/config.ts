// Timeouts and limits of the core, checked against each other.
import { assert } from '../base/assert.ts'

export interface RaftConfig {
  /** A leader lets no peer go longer than this without a message. */
  readonly heartbeatMs: number
  /** A follower that hears no leader campaigns after a random time between these two (paper 5.2). */
  readonly electionTimeoutMsMin: number
  readonly electionTimeoutMsMax: number
  /** How long an answer to a round promises to elect nobody else; promised only with `leaseReads`. */
  readonly leaseMs: number
  readonly leaseReads: boolean
  /** After a broken link to the leader, a pre-vote begins within this time. */
  readonly hintMsMax: number
  /** A candidate refused only because its peer stands itself tries again after a random time between these two. */
  readonly voteRetryMsMin: number
  readonly voteRetryMsMax: number
  /** A read round that the fastest quorum has not answered by then asks the other voters too. */
  readonly readSpreadMs: number
  /** How long a new commit index waits for an append to ride on. */
  readonly commitNoticeMs: number
  /** Reads that may wait for a leader or for a round. */
  readonly readsWaitingMax: number
  /** A learner whose disk lacks more records than this is not made a voter. */
  readonly promotionLackMax: number
}

export const defaultConfig: RaftConfig = {
  heartbeatMs: 100,
  electionTimeoutMsMin: 600,
  electionTimeoutMsMax: 1200,
  leaseMs: 400,
  leaseReads: false,
  hintMsMax: 15,
  voteRetryMsMin: 10,
  voteRetryMsMax: 40,
  readSpreadMs: 10,
  commitNoticeMs: 2,
  readsWaitingMax: 65_536,
  promotionLackMax: 1_000
}

/** What is wrong with a configuration, in words; null when it is sound. */
export function configFault(config: RaftConfig): string | null {
  for (const [name, value] of Object.entries(config) as [string, unknown][]) {
    if (typeof value === 'boolean') continue
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) return `${name} must be a number, 0 or more`
  }
  if (config.heartbeatMs < 1) return 'heartbeatMs must be at least 1'
  if (config.electionTimeoutMsMin < 3 * config.heartbeatMs) return 'electionTimeoutMsMin must be 3 heartbeats or more'
  if (config.electionTimeoutMsMax < 1.5 * config.electionTimeoutMsMin) {
    return 'electionTimeoutMsMax must be 1.5 times electionTimeoutMsMin or more, or votes are split again and again'
  }
  if (config.leaseMs >= config.electionTimeoutMsMin) return 'leaseMs must be below electionTimeoutMsMin'
  if (config.hintMsMax >= config.electionTimeoutMsMin) return 'hintMsMax must be below electionTimeoutMsMin'
  if (config.voteRetryMsMax < config.voteRetryMsMin) return 'voteRetryMsMax must not be below voteRetryMsMin'
  if (config.voteRetryMsMax >= config.electionTimeoutMsMin) return 'voteRetryMsMax must be below electionTimeoutMsMin'
  if (config.readSpreadMs >= config.heartbeatMs) return 'readSpreadMs must be below heartbeatMs'
  if (config.commitNoticeMs >= config.heartbeatMs) return 'commitNoticeMs must be below heartbeatMs'
  if (config.readsWaitingMax < 1) return 'readsWaitingMax must be at least 1'
  return null
}

export function checkConfig(config: RaftConfig): void {
  assert(configFault(config) === null, 'the configuration of the core is sound')
}
