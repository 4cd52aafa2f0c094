// The state that the base record names, read whole: its files, and every row of it against its CRC.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { readU16, readU32, readU64 } from '../base/bytes.ts'
import { StrettoError } from '../base/errors.ts'
import { GenerationChain } from '../kv/generations.ts'
import { LeaseTable } from '../kv/leases/lease-table.ts'
import {
  entryKeyText,
  headKey,
  readEntry,
  readHead,
  readLease,
  readLeaseKey,
  readLeaseSum,
  unsealed
} from '../kv/rows.ts'
import { levelFault, stateLevel } from '../kv/state-level.ts'
import { checkLevelFiles } from '../level/level-files.ts'
import { newerFormat } from '../machine/newer-format.ts'
import { decodeSidecar, newerSidecar, type Sidecar } from '../machine/sidecar.ts'
import { type LogId, logOrigin } from '../raft/types.ts'
import { mirrorLevel, type Scratch } from './scratch.ts'

/** `other`: a machine of the application's own keeps it, and only that can read it. */
export type StateKind = 'empty' | 'key-value' | 'embedded' | 'other'

export interface StateSurvey {
  readonly name: string
  readonly kind: StateKind
  /** The last record contained; null where that cannot be read. */
  readonly applied: LogId | null
  readonly revision: number
  readonly compactedRevision: number
  readonly sidecar: Sidecar | null
  /** How many of each kind; of a key-value state only. */
  readonly rows: Readonly<Record<string, number>>
  readonly bytes: number
  readonly findings: readonly string[]
  readonly isSound: boolean
  /** A later version has written it: that is no damage. */
  readonly newer: boolean
}

const kindNames = ['head', 'entries', 'history', 'effects', 'generations', 'leases', 'leaseKeys', 'leaseSum', 'order']
const kindAt = 2
const entryKind = 1
const generationKind = 4
const leaseKind = 5
const leaseKeyKind = 6
const leaseSumKind = 7
const rowsPerPage = 1024
const pageBytesMax = 1_048_576
/** Damage of one table can spoil many rows. */
const rowFindingsMax = 8

export async function surveyState(directory: string, name: string, scratch: Scratch): Promise<StateSurvey> {
  const folder = join(directory, name)
  const empty = { ...blank, name }
  let names: string[]
  try {
    names = await readdir(folder)
  } catch {
    return { ...empty, findings: [`the folder ${name} is missing`], isSound: false }
  }
  if (names.includes('machine')) return readEmbedded(name, await readFile(join(folder, 'machine')))
  const files = await checkLevelFiles(folder)
  if (!files.isLevel) return { ...empty, kind: names.length === 0 ? 'empty' : 'other', applied: emptyOr(names) }
  const findings = files.faults.map(({ text }) => `${name}/${text}`)
  if (files.faults.some(({ kind }) => kind === 'structure')) {
    findings.push('the state cannot be read any more')
    return { ...empty, kind: 'key-value', bytes: files.bytes, applied: null, findings, isSound: false }
  }
  const copy = join(scratch.folder, name)
  await mirrorLevel(folder, copy)
  return { ...(await readState(copy, name, findings)), bytes: files.bytes }
}

const blank: Omit<StateSurvey, 'name'> = {
  kind: 'empty',
  applied: logOrigin,
  revision: 1,
  compactedRevision: 0,
  sidecar: null,
  rows: {},
  bytes: 0,
  findings: [],
  isSound: true,
  newer: false
}

function emptyOr(names: readonly string[]): LogId | null {
  return names.length === 0 ? logOrigin : null
}

/** Walks over every row of the database in `copy`. */
async function readState(copy: string, name: string, found: readonly string[]): Promise<StateSurvey> {
  const reading = new Reading(found)
  const level = stateLevel(copy)
  try {
    await level.open()
    const iterator = level.iterator({ fillCache: false, highWaterMarkBytes: pageBytesMax })
    for (;;) {
      const rows = await iterator.nextv(rowsPerPage)
      if (rows.length === 0) break
      for (const [key, row] of rows) reading.take(key, row)
    }
    await iterator.close()
  } catch (error) {
    reading.find(levelFault('read', error instanceof Error ? error : new Error(String(error))).message)
  } finally {
    if (level.status !== 'closed') await level.close()
  }
  return reading.end(name)
}

class Reading {
  readonly #findings: string[]
  readonly #rows: Record<string, number> = {}
  #count = 0
  #damaged = 0
  #newer = false
  #head: ReturnType<typeof readHead> | null = null
  #headSeen = false
  readonly #generations = new GenerationChain()
  readonly #leases = new LeaseTable()
  #leaseSum: LeaseTable['sum'] = { count: 0, sum: 0 }
  #strayLeaseKeys = 0
  #revisionMax = 0
  #indexMax = 0

  constructor(found: readonly string[]) {
    this.#findings = [...found]
  }

  find(finding: string): void {
    this.#findings.push(finding)
  }

  take(key: Uint8Array, row: Uint8Array): void {
    this.#count++
    const kind = key[kindAt]
    const kindName = kind === undefined ? 'unknown' : (kindNames[kind] ?? `kind${kind}`)
    this.#rows[kindName] = (this.#rows[kindName] ?? 0) + 1
    if (kind === 0) this.#headSeen = true
    try {
      if (Buffer.compare(key, headKey) === 0) this.#head = readHead(row)
      else if (kind === entryKind) this.#takeEntry(key, row)
      else if (kind === generationKind) this.#generations.take(key, row)
      else if (kind === leaseKind) this.#takeLease(key, row)
      else if (kind === leaseKeyKind) this.#takeLeaseKey(key, row)
      else if (kind === leaseSumKind) this.#leaseSum = readLeaseSum(row)
      else unsealed(key, row)
    } catch (error) {
      if (!(error instanceof StrettoError)) throw error
      if (error.code === 'BAD_REQUEST') this.#newer = true
      this.#damaged++
      if (this.#damaged <= rowFindingsMax) this.find(error.message)
    }
  }

  #takeEntry(key: Uint8Array, row: Uint8Array): void {
    const version = readEntry(entryKeyText(key), key, row)
    this.#revisionMax = Math.max(this.#revisionMax, version.modRevision)
    this.#indexMax = Math.max(this.#indexMax, version.index)
  }

  #takeLease(key: Uint8Array, row: Uint8Array): void {
    const { id, ...lease } = readLease(key, row)
    this.#leases.load(id, lease)
  }

  /** The rows of leases come before those of their keys. */
  #takeLeaseKey(rowKey: Uint8Array, row: Uint8Array): void {
    const { id, key } = readLeaseKey(rowKey, row)
    if (!this.#leases.loadKey(id, key)) this.#strayLeaseKeys++
  }

  #findLeaseFaults(): void {
    const { count, sum } = this.#leases.sum
    if (count !== this.#leaseSum.count || sum !== this.#leaseSum.sum || this.#strayLeaseKeys > 0)
      this.find('the leases of the state are not those that its last flush had')
  }

  end(name: string): StateSurvey {
    const head = this.#head
    if (this.#damaged > rowFindingsMax) this.find(`${this.#damaged} rows of the state are damaged in all`)
    if (this.#count > 0 && this.#damaged === this.#count && !this.#headSeen) {
      return { ...blank, name, kind: 'other', applied: null }
    }
    if (head === null && this.#count > 0 && !this.#headSeen) this.find('the state has lost its head row')
    if (head === null) {
      const isSound = this.#findings.length === 0
      const applied = isSound ? logOrigin : null
      const newer = this.#newer
      return { ...blank, name, kind: 'key-value', applied, rows: this.#rows, findings: this.#findings, isSound, newer }
    }
    const hole = this.#generations.fault(head)
    if (hole !== null) this.find(hole.message)
    this.#findLeaseFaults()
    const sidecar = decodeSidecar(head.sidecar)
    const later = newerSidecar(head.sidecar)
    if (later !== null) this.find(later.message)
    else if (
      sidecar === null ||
      sidecar.applied.index !== head.applied.index ||
      sidecar.applied.term !== head.applied.term
    )
      this.find('the sessions beside the state are not those of the state')
    if (this.#revisionMax > head.revision || this.#indexMax > head.applied.index)
      this.find('the state holds entries that are newer than it says it is')
    return {
      name,
      kind: 'key-value',
      applied: head.applied,
      revision: head.revision,
      compactedRevision: head.compacted,
      sidecar,
      rows: this.#rows,
      bytes: 0,
      findings: this.#findings,
      isSound: this.#findings.length === 0,
      newer: this.#newer || later !== null
    }
  }
}

/** What an embedded machine has saved (layout: DISK.md, "The state"). */
function readEmbedded(name: string, bytes: Uint8Array): StateSurvey {
  const damaged = (text: string): StateSurvey => ({
    ...blank,
    name,
    kind: 'embedded',
    applied: null,
    bytes: bytes.length,
    findings: [text],
    isSound: false
  })
  const value = bytes.subarray(4)
  if (bytes.length < 32 || crc32(value) !== readU32(bytes, 0)) return damaged('the saved machine is damaged')
  const later = newerFormat('the saved machine is', value, 1)
  if (later !== null) return { ...damaged(later.message), newer: true }
  const sidecarBytes = readU32(value, 24)
  if (readU16(value, 0) !== 1 || 28 + sidecarBytes > value.length)
    return damaged('the file machine is no saved machine')
  const applied = { term: readU32(value, 4), index: readU64(value, 8) }
  const sidecar = decodeSidecar(value.subarray(28, 28 + sidecarBytes))
  if (sidecar === null || sidecar.applied.index !== applied.index)
    return damaged('the sessions beside the saved machine are not its own')
  const revision = readU64(value, 16)
  return { ...blank, name, kind: 'embedded', applied, revision, sidecar, bytes: bytes.length }
}
