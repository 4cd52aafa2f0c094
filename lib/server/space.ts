// Watches the room on the disk of the data directory: by it a node slows down, refuses, and waits for its next life.
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Cancel, Env } from '../base/env.ts'
import { boundsOf, isShort, levelOf, type Space, type SpaceLevel } from '../node/room.ts'
import { Ballast, ballastBytesFor } from './ballast.ts'
import type { ServerOptions } from './options.ts'
import type { Reserve } from './reserve.ts'
import { formatSize } from './sizes.ts'

export interface FileSystem {
  readonly sizeBytes: number
  /** What this user may still write. */
  readonly freeBytes: number
}

export interface SpaceWatchParts {
  readonly env: Pick<Env, 'now' | 'after'>
  readonly look: () => Promise<FileSystem>
  /** Made for a file system of this size. */
  readonly reserve: (sizeBytes: number) => Reserve
  /** There is another level. */
  readonly changed: (level: SpaceLevel) => void
  /** Frees what can be freed. Asked for while little is left, and not again before it has ended. */
  readonly reclaim: () => Promise<void>
  /** Something that an operator should know, in a sentence. */
  readonly say: (line: string) => void
}

const lookMs = 1_000
/** After a full disk another life is tried when there is room, first after this, and then twice as long each time. */
const againMsMin = 1_000
const againMsMax = 8_000
/** A life that has lasted so long was no failed try. */
const soundMs = 60_000

export class SpaceWatch {
  readonly #parts: SpaceWatchParts
  #space: Space = { freeBytes: Number.MAX_SAFE_INTEGER, bounds: boundsOf(0), looks: 0 }
  #level: SpaceLevel = 'ample'
  #reserve: Reserve | null = null
  #timer: Cancel | null = null
  #stopped = false
  #reclaiming = false
  #metAt = Number.NEGATIVE_INFINITY
  #tries = 0
  #tryAt = 0
  #waiting: (() => void) | null = null

  constructor(parts: SpaceWatchParts) {
    this.#parts = parts
  }

  get space(): Space {
    return this.#space
  }

  get level(): SpaceLevel {
    return this.#level
  }

  /** Why there is no life; null where that has nothing to do with the disk. */
  get reason(): string | null {
    if (this.#waiting === null) return null
    return `the disk is full: ${formatSize(this.#space.freeBytes)} are left, and the node waits for room`
  }

  /** Comes after the first look. */
  async start(): Promise<void> {
    await this.#look()
    this.#lookLater()
  }

  /** A write has met a full disk. Comes when another life may be tried, or the watch has been stopped. */
  async roomAgain(): Promise<void> {
    const { env } = this.#parts
    const now = env.now()
    this.#tries = now - this.#metAt < soundMs ? this.#tries + 1 : 0
    this.#metAt = now
    this.#tryAt = now + Math.min(againMsMin * 2 ** this.#tries, againMsMax)
    const again = new Promise<void>(resolve => {
      this.#waiting = resolve
    })
    await this.#reserve?.remove()
    await this.#look()
    await again
  }

  /** Ends every wait. Comes when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.()
    this.#goOn()
    await this.#reserve?.rest()
  }

  #lookLater(): void {
    if (this.#stopped) return
    this.#timer = this.#parts.env.after(lookMs, () => void this.#look().then(() => this.#lookLater()))
  }

  async #look(): Promise<void> {
    const { look, env, reserve } = this.#parts
    const found = await look().catch(() => null)
    // Where it cannot be found out, what was last seen stands.
    if (found !== null) {
      this.#space = { freeBytes: found.freeBytes, bounds: boundsOf(found.sizeBytes), looks: this.#space.looks + 1 }
      this.#reserve ??= reserve(found.sizeBytes)
    }
    if (this.#stopped) return
    this.#judge()
    await this.#balance()
    if (this.#level !== 'none' && env.now() >= this.#tryAt) this.#goOn()
  }

  #judge(): void {
    const { changed, say } = this.#parts
    const { freeBytes, bounds } = this.#space
    const level = levelOf(freeBytes, bounds)
    if (level !== this.#level) {
      this.#level = level
      changed(level)
      say(`the disk ${texts[level]}`)
    }
    if (isShort(level)) this.#reclaim()
  }

  /** The reserve is given up when nothing is left, and made again when there is room for it twice over. */
  async #balance(): Promise<void> {
    const reserve = this.#reserve
    if (reserve === null || reserve.bytes === 0) return
    const { freeBytes, bounds } = this.#space
    if (this.#level === 'none') await reserve.remove()
    else if (!reserve.whole && this.#waiting === null && freeBytes >= bounds.scarce + 2 * reserve.bytes) {
      // It takes seconds, and nobody waits for it.
      void reserve.fill()
    }
  }

  #reclaim(): void {
    if (this.#reclaiming) return
    this.#reclaiming = true
    const over = (): void => {
      this.#reclaiming = false
    }
    this.#parts.reclaim().then(over, over)
  }

  #goOn(): void {
    const waiting = this.#waiting
    this.#waiting = null
    waiting?.()
  }
}

const texts: Readonly<Record<SpaceLevel, string>> = {
  ample: 'has room again',
  low: 'fills: what grows is slowed down',
  scarce: 'is nearly full: what grows is refused, deletes are taken in',
  none: 'is full: the ballast is given up'
}

/** Watches the disk of a server's data directory. */
export function watchSpace(
  env: Env,
  { dataDir, ballastBytes }: Pick<ServerOptions, 'dataDir' | 'ballastBytes'>,
  told: Pick<SpaceWatchParts, 'changed' | 'reclaim' | 'say'>
): SpaceWatch {
  return new SpaceWatch({
    ...told,
    env,
    look: () => fileSystemOf(dataDir),
    reserve: sizeBytes => new Ballast(env, dataDir, ballastBytes ?? ballastBytesFor(sizeBytes))
  })
}

/** The file system on which this folder is, or will be. */
export async function fileSystemOf(path: string): Promise<FileSystem> {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { bsize, blocks, bavail } = await statfs(at)
      return { sizeBytes: blocks * bsize, freeBytes: bavail * bsize }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(at) === at) throw error
    }
  }
}
