// Backups put to use: `verify` restores one into a scratch place and compares, `restore` founds a new cluster on one.
import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { StrettoError } from '../base/errors.ts'
import { realEnv } from '../client/real-env.ts'
import { KvMachine } from '../kv/kv-machine.ts'
import { stateLevel } from '../kv/state-level.ts'
import type { SnapshotSource } from '../machine/machine.ts'
import type { NodeId } from '../raft/types.ts'
import { promised } from '../server/promised.ts'
import { readBackup } from './backup-file.ts'
import { type MemberFacts, membersOf } from './inspect.ts'
import { type Founder, type Refounded, refound, refuseUsed, restoreState } from './refound.ts'
import { makeScratch } from './scratch.ts'
import { surveyState } from './state-survey.ts'

/** Field names are a contract: `stretto snapshot verify -o json`. */
export interface Verified {
  readonly file: string
  readonly clusterId: string
  /** Milliseconds since 1970. */
  readonly madeAt: number
  readonly index: number
  readonly term: number
  readonly revision: number
  readonly machineVersion: number
  readonly members: readonly MemberFacts[]
  readonly sessions: number
  readonly keys: number
  readonly bytes: number
  /** SHA-256 of the file. */
  readonly fingerprint: string
}

/** @throws StrettoError CORRUPT where the backup is cut short or altered, or does not come back as it was */
export async function verifyBackup(file: string): Promise<Verified> {
  const { header, fingerprint, snapshot } = await readBackup(file)
  const scratch = await makeScratch()
  try {
    const name = 'state'
    const restored = join(scratch.folder, 'restored')
    const folder = join(restored, name)
    await mkdir(folder, { recursive: true })
    const last = await restoreState(folder, snapshot())
    const again = await measure(folder)
    if (last.index !== header.last.index || last.term !== header.last.term) throw differs('ends at another record')
    if (again.size !== header.size || again.hash !== header.hash) throw differs('is not what was saved')
    const state = await surveyState(restored, name, scratch)
    if (!state.isSound || state.sidecar === null) throw differs(`is not sound: ${state.findings[0]}`)
    const { clusterId, madeAt, machineVersion, size, membership } = header
    return {
      file,
      clusterId,
      madeAt,
      ...last,
      revision: state.revision,
      machineVersion,
      members: membersOf(membership),
      sessions: state.sidecar.sessions.length,
      keys: state.rows['entries'] ?? 0,
      bytes: size,
      fingerprint
    }
  } finally {
    await scratch.remove()
  }
}

function differs(how: string): StrettoError {
  return new StrettoError('CORRUPT', `the backup was restored for a trial, and the state ${how}`)
}

async function measure(folder: string): Promise<{ readonly size: number; readonly hash: number }> {
  const machine = new KvMachine(stateLevel(folder), realEnv())
  await promised(done => machine.open(error => done(error)))
  try {
    const source = await promised<SnapshotSource | null>(done => machine.snapshot(done))
    if (source === null) throw differs('is empty')
    const { size, hash } = source
    source.close()
    return { size, hash }
  } finally {
    await promised(done => machine.close(done))
  }
}

export interface RestoreOrder {
  readonly file: string
  readonly id: NodeId
  readonly directory: string
  /** Node id -> `host:port`: all members of the new cluster. */
  readonly cluster: ReadonlyMap<NodeId, string>
}

/**
 * Each member of the new cluster is restored from the same file with the same list: cluster id and incarnations are a
 * function of both, so that they agree without having met. For that reason a directory is restored once; a member that is
 * lost later is replaced, for a second directory under its name would not know what the first has promised.
 */
export async function restoreBackup({ file, id, directory, cluster }: RestoreOrder): Promise<Refounded> {
  await refuseUsed(directory)
  const { fingerprint, snapshot } = await readBackup(file)
  const list = [...cluster].map(([node, address]) => `${node}=${address}`).toSorted()
  const founders = [...cluster].map(([node, address]): Founder => {
    const text = [fingerprint, node, ...list].join('\n')
    return { id: node, address, incarnation: createHash('sha256').update(text).digest('hex').slice(0, 16) }
  })
  return refound({ directory, id, founders, snapshot: snapshot() })
}
