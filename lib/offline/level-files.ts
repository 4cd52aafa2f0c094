// The files of a LevelDB folder, checked against LevelDB's own check values before LevelDB is let at them.
//
// LevelDB itself reads without most of these checks: damage in a log file is passed over in silence, and a damaged index
// of a table may end the process. Here each byte that a check value covers is looked at.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { maskedCrc32c } from './crc32c.ts'

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
  readonly bytes: number
  /** False where no file is of LevelDB. */
  readonly isLevel: boolean
}

const logBlockBytes = 32_768
const logHeaderBytes = 7
const footerBytes = 48
const trailerBytes = 5
const magicLow = 0x8b80fb57
const magicHigh = 0xdb477524
const ours = /^(CURRENT|MANIFEST-\d+|\d+\.(ldb|sst|log))$/
const tableName = /^\d+\.(ldb|sst)$/

export function isTableName(name: string): boolean {
  return tableName.test(name)
}

/** Reads each file of the folder once; changes nothing. */
export async function checkLevelFiles(folder: string): Promise<LevelFiles> {
  const names = (await readdir(folder)).filter(name => ours.test(name)).toSorted()
  if (names.length === 0) return { faults: [], bytes: 0, isLevel: false }
  const faults: FileFault[] = []
  let bytes = 0
  const manifest = await currentManifest(folder, names, faults)
  for (const name of names) {
    const isLog = name.endsWith('.log') || name === manifest
    if (!isLog && !isTableName(name)) continue
    const content = await readFile(join(folder, name))
    bytes += content.length
    const fault = isLog ? logFault(name, content) : tableFault(name, content)
    if (fault !== null) faults.push(fault)
  }
  return { faults, bytes, isLevel: true }
}

/** The name that CURRENT holds; null, and a fault, where it holds none of a file that is there. */
async function currentManifest(folder: string, names: readonly string[], faults: FileFault[]): Promise<string | null> {
  const fault = (text: string): null => {
    faults.push({ file: 'CURRENT', kind: 'structure', text })
    return null
  }
  if (!names.includes('CURRENT')) return fault('CURRENT is missing')
  const text = await readFile(join(folder, 'CURRENT'), 'latin1')
  const name = /^(MANIFEST-\d+)\n$/.exec(text)?.[1]
  if (name === undefined || !names.includes(name)) return fault('CURRENT names no file that is there')
  return name
}

/** A log file or a manifest: records in blocks of 32 KiB. One that is not whole at the very end was never finished. */
function logFault(file: string, bytes: Buffer): FileFault | null {
  const isManifest = !file.endsWith('.log')
  const kind = isManifest ? 'structure' : 'content'
  let at = 0
  while (at < bytes.length) {
    const left = logBlockBytes - (at % logBlockBytes)
    if (left < logHeaderBytes) {
      at += left
      continue
    }
    const end = at + logHeaderBytes + (at + 6 <= bytes.length ? bytes.readUInt16LE(at + 4) : 0)
    if (at + logHeaderBytes > bytes.length || end > bytes.length) {
      // A crash leaves a log like this. A manifest that ends early may hide tables, and what they held.
      return isManifest ? { file, kind, text: `${file} ends within a record` } : null
    }
    const rest = bytes.subarray(at)
    if (bytes[at + 6] === 0 && end === at + logHeaderBytes && bytes.readUInt32LE(at) === 0) {
      return rest.every(byte => byte === 0)
        ? null
        : { file, kind, text: `${file} has a hole at byte ${at}`, soundBytes: at }
    }
    const isInBlock = end - at <= left
    if (!isInBlock || maskedCrc32c(bytes.subarray(at + 6, end)) !== bytes.readUInt32LE(at)) {
      return { file, kind, text: `${file} is damaged at byte ${at}`, soundBytes: at }
    }
    at = end
  }
  return null
}

interface Handle {
  readonly at: number
  readonly size: number
}

/** A table: blocks with a check value each, an index of them, and a footer that tells where the index is. */
function tableFault(file: string, bytes: Buffer): FileFault | null {
  const broken = (what: string): FileFault => ({ file, kind: 'structure', text: `${file}: ${what} is damaged` })
  if (bytes.length < footerBytes) return broken('its end')
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

interface Position {
  at: number
}

function readHandle(bytes: Buffer, cursor: Position): Handle | null {
  const at = readVarint(bytes, cursor)
  const size = readVarint(bytes, cursor)
  return at === null || size === null ? null : { at, size }
}

function readVarint(bytes: Buffer, cursor: Position): number | null {
  let value = 0
  for (let weight = 1; weight <= 2 ** 49; weight *= 128) {
    const byte = bytes[cursor.at++]
    if (byte === undefined) return null
    value += (byte & 127) * weight
    if (byte < 128) return value
  }
  return null
}
