// The files of a LevelDB folder, checked against LevelDB's own check values before LevelDB is let at them.
//
// LevelDB itself reads without most of these checks: damage in a log file is passed over in silence, and a damaged index
// of a table may end the process. Here each byte that a check value covers is looked at.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { maskedCrc32c } from './crc32c.ts'
import { type LogFileEnd, walkLogFile } from './level-log-file.ts'
import { type Manifest, readManifest } from './manifest.ts'
import { type Position, readVarint } from './varint.ts'

/** `structure`: what leads to the content, so that LevelDB must not be given the file. `content`: parts of it. */
export interface FileFault {
  readonly file: string
  readonly kind: 'structure' | 'content'
  /** In a sentence that begins with the name of the file. */
  readonly text: string
  /** Of a log file: so many bytes before the damage are sound. */
  readonly soundBytes?: number
}

export interface LevelFiles {
  readonly faults: readonly FileFault[]
  /** What the manifest does not name: a crash leaves such files, and LevelDB removes them when it is opened. */
  readonly unused: readonly string[]
  readonly bytes: number
  /** False where no file is of LevelDB. */
  readonly isLevel: boolean
}

const footerBytes = 48
const trailerBytes = 5
const magicLow = 0x8b80fb57
const magicHigh = 0xdb477524
const ours = /^(CURRENT|MANIFEST-\d+|\d+\.(ldb|sst|log))$/
const tableName = /^\d+\.(ldb|sst)$/

export function isTableName(name: string): boolean {
  return tableName.test(name)
}

/** Reads each file of the folder that is in use once; changes nothing. */
export async function checkLevelFiles(folder: string): Promise<LevelFiles> {
  const names = (await readdir(folder)).filter(name => ours.test(name)).toSorted()
  if (names.length === 0) return { faults: [], unused: [], bytes: 0, isLevel: false }
  const faults: FileFault[] = []
  const manifest = await currentManifest(folder, names, faults)
  const unused = manifest === null ? [] : names.filter(name => !isUsed(name, manifest))
  const missing = manifest === null ? [] : [...manifest.tables.keys()].filter(number => !holdsTable(names, number))
  for (const number of missing) faults.push({ file: '', kind: 'structure', text: `the table ${number} is missing` })
  let bytes = 0
  for (const name of names) {
    const isLog = name.endsWith('.log')
    if (unused.includes(name) || (!isLog && !isTableName(name))) continue
    const content = await readFile(join(folder, name))
    bytes += content.length
    const length = manifest?.tables.get(numberOf(name)) ?? content.length
    const fault = isLog ? logFault(name, content) : tableFault(name, content, length)
    if (fault !== null) faults.push(fault)
  }
  return { faults, unused, bytes, isLevel: true }
}

function numberOf(name: string): number {
  return Number.parseInt(name, 10)
}

function isUsed(name: string, { tables, firstLog }: Manifest): boolean {
  if (name.endsWith('.log')) return numberOf(name) >= firstLog
  return !isTableName(name) || tables.has(numberOf(name))
}

function holdsTable(names: readonly string[], number: number): boolean {
  return names.some(name => isTableName(name) && numberOf(name) === number)
}

/** The manifest that CURRENT names; null, and a fault, where it does not lead to a sound one. */
async function currentManifest(
  folder: string,
  names: readonly string[],
  faults: FileFault[]
): Promise<Manifest | null> {
  const fault = (file: string, text: string): null => {
    faults.push({ file, kind: 'structure', text })
    return null
  }
  if (!names.includes('CURRENT')) return fault('CURRENT', 'CURRENT is missing')
  const text = await readFile(join(folder, 'CURRENT'), 'latin1')
  const name = /^(MANIFEST-\d+)\n$/.exec(text)?.[1]
  if (name === undefined || !names.includes(name)) return fault('CURRENT', 'CURRENT names no file that is there')
  const manifest = readManifest(await readFile(join(folder, name)))
  if (manifest === null) return fault(name, `${name} says what is not known`)
  // One that ends early may hide tables, and what they held.
  if (manifest.end !== null) return fault(name, textOf(name, manifest.end))
  return manifest
}

function textOf(file: string, { kind, at }: LogFileEnd): string {
  if (kind === 'torn') return `${file} ends within a record`
  return kind === 'hole' ? `${file} has a hole at byte ${at}` : `${file} is damaged at byte ${at}`
}

/** One that is not whole at its very end is what a crash leaves. */
function logFault(file: string, bytes: Buffer): FileFault | null {
  const end = walkLogFile(bytes, () => {})
  if (end === null || end.kind === 'torn') return null
  return { file, kind: 'content', text: textOf(file, end), soundBytes: end.at }
}

interface Handle {
  readonly at: number
  readonly size: number
}

/** A table: blocks with a check value each, an index of them, and a footer that tells where the index is. */
function tableFault(file: string, bytes: Buffer, length: number): FileFault | null {
  const broken = (what: string): FileFault => ({ file, kind: 'structure', text: `${file}: ${what} is damaged` })
  if (bytes.length !== length || bytes.length < footerBytes) return broken('its end')
  const footer = bytes.subarray(bytes.length - footerBytes)
  if (footer.readUInt32LE(40) !== magicLow || footer.readUInt32LE(44) !== magicHigh) return broken('its end')
  const cursor = { at: 0 }
  const meta = readHandle(footer, cursor)
  const index = readHandle(footer, cursor)
  if (meta === null || index === null) return broken('its end')
  if (!isSound(bytes, index) || !isSound(bytes, meta)) return broken('its index')
  const handles = indexed(bytes.subarray(index.at, index.at + index.size))
  if (handles === null) return broken('its index')
  const bad = handles.filter(handle => !isSound(bytes, handle))
  if (bad.length === 0) return null
  const text = `${file}: ${bad.length} of ${handles.length} blocks are damaged, the first at byte ${bad[0]!.at}`
  return { file, kind: bad.some(handle => !isInside(bytes, handle)) ? 'structure' : 'content', text }
}

function isInside(bytes: Buffer, { at, size }: Handle): boolean {
  return at + size + trailerBytes <= bytes.length - footerBytes
}

function isSound(bytes: Buffer, handle: Handle): boolean {
  if (!isInside(bytes, handle)) return false
  const end = handle.at + handle.size + 1
  return maskedCrc32c(bytes.subarray(handle.at, end)) === bytes.readUInt32LE(end)
}

/** Where the blocks are that an index block names; null where it is none. */
function indexed(block: Buffer): Handle[] | null {
  if (block.length < 4) return null
  const end = block.length - 4 - 4 * block.readUInt32LE(block.length - 4)
  const handles: Handle[] = []
  const cursor = { at: 0 }
  while (cursor.at < end) {
    readVarint(block, cursor)
    const suffix = readVarint(block, cursor)
    const valueBytes = readVarint(block, cursor)
    if (suffix === null || valueBytes === null) return null
    cursor.at += suffix
    const next = cursor.at + valueBytes
    if (next > end) return null
    const handle = readHandle(block, cursor)
    if (handle === null) return null
    handles.push(handle)
    cursor.at = next
  }
  return cursor.at === end ? handles : null
}

function readHandle(bytes: Buffer, cursor: Position): Handle | null {
  const at = readVarint(bytes, cursor)
  const size = readVarint(bytes, cursor)
  return at === null || size === null ? null : { at, size }
}
