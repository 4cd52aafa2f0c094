// Entries that are on disk too, kept in memory up to a bound: segments filled one after the other, the oldest given up first.
import type { Version } from './version.ts'

const segmentBytesMax = 262_144
/** Segments in a full cache, at least: what is given up at once is a small part of it. */
const segmentsMin = 64
/** By measurement, what a version with its place in the map takes beside its key and value. */
const versionBytes = 240

interface Segment {
  readonly bytes: Uint8Array
  /** Bytes of values in it, and what its versions weigh in all. */
  filled: number
  weight: number
  readonly versions: Version[]
}

/** Values are copied into segments, so that a small one does not pin the block it came in. */
export class RowCache {
  readonly #bytesMax: number
  readonly #segmentBytes: number
  readonly #versions = new Map<string, Version>()
  readonly #segments: Segment[] = []
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#segmentBytes = Math.min(segmentBytesMax, Math.ceil(bytesMax / segmentsMin))
  }

  get bytes(): number {
    return this.#bytes
  }

  get count(): number {
    return this.#versions.size
  }

  get(key: string): Version | undefined {
    const version = this.#versions.get(key)
    if (version !== undefined) version.used = true
    return version
  }

  /** Takes a version in as the newest of its key, and moves its value here. */
  put(version: Version): void {
    this.#add(version)
    while (this.#bytes > this.#bytesMax && this.#segments.length > 1) this.#dropOldest()
  }

  #add(version: Version): void {
    const length = Math.max(0, version.length)
    const weight = versionBytes + version.key.length + length
    const segment = this.#segmentFor(length, weight)
    if (length > 0) segment.bytes.set(version.value, segment.filled)
    version.bytes = segment.bytes
    version.at = segment.filled
    version.used = false
    segment.filled += length
    segment.weight += weight
    segment.versions.push(version)
    this.#bytes += weight
    this.#versions.set(version.key, version)
  }

  #segmentFor(length: number, weight: number): Segment {
    const newest = this.#segments.at(-1)
    if (newest !== undefined && newest.weight + weight <= this.#segmentBytes) return newest
    const bytes = Buffer.allocUnsafeSlow(Math.max(this.#segmentBytes, length))
    const segment: Segment = { bytes, filled: 0, weight: 0, versions: [] }
    this.#segments.push(segment)
    return segment
  }

  /** A version that was read since gets a second chance, for at most half of what the segment weighs. */
  #dropOldest(): void {
    const segment = this.#segments.shift()!
    this.#bytes -= segment.weight
    let rescued = 0
    for (const version of segment.versions) {
      if (this.#versions.get(version.key) !== version) continue
      if (version.used && rescued < segment.weight / 2) {
        rescued += versionBytes + version.key.length + version.length
        this.#add(version)
      } else {
        this.#versions.delete(version.key)
      }
    }
  }
}
