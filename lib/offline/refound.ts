// Founds a new cluster on a state of an old one: its own cluster id, its own members, a revision far above all before.
//
// The new log begins where the state ends, under its term, with a chain value that no other cluster has. Sessions stay, so
// that a write which is repeated after the change is not executed twice. The directory is made beside its place and takes
// it by one rename: it is there whole, or not at all.
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { crc32 } from 'node:zlib'
import { StrettoError } from '../base/errors.ts'
import { realEnv } from '../client/real-env.ts'
import { KvMachine } from '../kv/kv-machine.ts'
import { generationKey, headKey, readHead, writeGeneration, writeHead } from '../kv/rows.ts'
import { stateLevel } from '../kv/state-level.ts'
import { nameOfState, writeBase } from '../log/base-record.ts'
import { OpenError } from '../log/faults.ts'
import { makeFolder, syncFolder } from '../log/file-directory.ts'
import { FileSlots } from '../log/file-slots.ts'
import { baseKey } from '../log/keys.ts'
import { classicLevel, synced } from '../log/level.ts'
import { type MemoryKeeper, openMemory } from '../log/memory-keeper.ts'
import { decodeSidecar, encodeSidecar } from '../machine/sidecar.ts'
import { type Base, type LogId, type Member, type Membership, memberKey, type NodeId } from '../raft/types.ts'
import { writeMembership } from '../record/membership.ts'
import { promised } from '../server/promised.ts'
import { clusterIdOf } from '../transport/founding.ts'

/**
 * What the revision of the store rises by: no revision, and no fencing token, that the old cluster has given out or may
 * still give out comes again.
 */
export const revisionLeap = 0x1_0000_0000

/** A member of the new cluster. */
export interface Founder {
  readonly id: NodeId
  readonly address: string
  /** 16 hexadecimal digits, never used before. */
  readonly incarnation: string
}

export interface Refounding {
  /** It does not exist, or is empty. */
  readonly directory: string
  /** Whose directory it is to be: one of the founders. */
  readonly id: NodeId
  readonly founders: readonly Founder[]
  /** A snapshot of a key-value state, in pieces. */
  readonly snapshot: AsyncIterable<Uint8Array>
}

export interface Refounded {
  readonly directory: string
  readonly clusterId: string
  readonly id: NodeId
  readonly incarnation: string
  readonly members: readonly { readonly id: NodeId; readonly address: string }[]
  readonly index: number
  readonly revision: number
}

/** @throws OpenError where the directory is in use; StrettoError CORRUPT where the snapshot is not whole */
export async function refound({ directory, id, founders, snapshot }: Refounding): Promise<Refounded> {
  await refuseUsed(directory)
  const place = resolve(directory)
  const made = `${place}.making-${process.pid}`
  const membership = membershipOf(founders)
  const clusterId = clusterIdOf(membership)
  const { incarnation } = founders.find(founder => founder.id === id)!
  await promised(done => makeFolder(dirname(place), done))
  try {
    await mkdir(made, { mode: 0o700 })
    const state = join(made, nameOfState(stateNumber))
    await mkdir(state, { mode: 0o700 })
    const last = await restoreState(state, snapshot)
    const { revision, machineVersion } = await takeOver(state, last, membership)
    const base = { ...last, chain: crc32(clusterId), membership, machineVersion, state: stateNumber }
    await beginLog(join(made, 'log'), base, clusterId)
    await beginMemory(join(made, 'memory'), { id, incarnation }, base, clusterId)
    await promised(done => syncFolder(made, done))
    await rename(made, place)
    await promised(done => syncFolder(dirname(place), done))
    const members = founders.map(({ id, address }) => ({ id, address }))
    return { directory, clusterId, id, incarnation, members, index: last.index, revision }
  } catch (error) {
    await rm(made, { recursive: true, force: true })
    throw error
  }
}

const stateNumber = 1

/** @throws OpenError */
export async function refuseUsed(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    if (error.code === 'ENOTDIR') throw new OpenError('corrupt', `${directory} is a file: choose another --data-dir`)
    throw error
  })
  if (names.length === 0) return
  throw new OpenError('corrupt', `${directory} is not empty: choose a --data-dir that is new`)
}

function membershipOf(founders: readonly Founder[]): Membership {
  const members = founders
    .map(({ id, address, incarnation }): Member => ({ key: memberKey(id, incarnation), id, incarnation, address }))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
  return { voters: members.map(({ key }) => key), outgoing: null, learners: [], members }
}

/** Takes the snapshot into the empty folder. Gives the last record contained. */
export async function restoreState(folder: string, snapshot: AsyncIterable<Uint8Array>): Promise<LogId> {
  const machine = new KvMachine(stateLevel(folder), realEnv())
  try {
    const sink = machine.restore()
    for await (const piece of snapshot) await promised(done => sink.write(piece, done))
    const { last } = await promised<{ readonly last: LogId }>(done => sink.end(done))
    return last
  } finally {
    await promised(done => machine.close(done)).catch(() => {})
  }
}

/** Makes the state that of the new cluster: a leap in revision, nothing readable before it, the new members. */
async function takeOver(folder: string, last: LogId, membership: Membership) {
  const level = stateLevel(folder)
  await level.open()
  try {
    const row = await level.get(headKey)
    const head = row === undefined ? null : readHead(row)
    const sidecar = head === null ? null : decodeSidecar(head.sidecar)
    if (head === null || sidecar === null) throw new StrettoError('CORRUPT', 'the snapshot holds no whole state')
    const revision = head.revision + revisionLeap
    const stored = { index: last.index, bytes: writeMembership(membership) }
    const changed = {
      ...head,
      revision,
      compacted: revision,
      sidecar: encodeSidecar({ ...sidecar, membership: stored })
    }
    // The leap is a generation of its own, so that the next one has one before it.
    const generation = generationKey(revision)
    const previous = head.revision === 1 ? 0 : head.revision
    const batch = level.batch().put(generation, writeGeneration(generation, last, previous))
    await batch.put(headKey, writeHead(changed)).write({ sync: true })
    return { revision, machineVersion: sidecar.machineVersion }
  } finally {
    await level.close()
  }
}

async function beginLog(folder: string, base: Base, clusterId: string): Promise<void> {
  const level = classicLevel(folder)
  await level.open()
  try {
    await level.batch([{ type: 'put', key: baseKey(), value: writeBase({ base, clusterId }) }], synced)
  } finally {
    await level.close()
  }
}

async function beginMemory(
  file: string,
  identity: { readonly id: NodeId; readonly incarnation: string },
  { index, term, chain }: Base,
  clusterId: string
): Promise<void> {
  const memory = await promised<MemoryKeeper>(done => openMemory(new FileSlots(file), realEnv(), identity, done))
  const change = { clusterId, hard: { term, vote: null }, mark: { index, term, chain } }
  await promised(done => memory.save(change, done))
  await promised(done => memory.close(done))
}
