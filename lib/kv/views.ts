// Who looks at the state as it was: open scans and counts, and the older versions that are kept for them.
import type { Generation } from './generation.ts'
import type { Version } from './version.ts'

/** The state at one revision: what the generations hold up to it, over what LevelDB held when the view was opened. */
export interface View {
  readonly revision: number
  /** Newest first. */
  readonly generations: readonly Generation[]
}

/** With fewer kept versions than this nobody looks whether they are still needed. */
const pruneMin = 1024

export class Views {
  readonly #open = new Set<View>()
  /** Versions that have an older one behind them. */
  #kept: Version[] = []
  #pruneAt = pruneMin
  #newest = 0

  get count(): number {
    return this.#open.size
  }

  get keptCount(): number {
    return this.#kept.length
  }

  open(view: View): void {
    this.#open.add(view)
    this.#newest = Math.max(this.#newest, view.revision)
  }

  close(view: View): void {
    if (!this.#open.delete(view) || this.#open.size > 0) return
    this.#newest = 0
    this.#prune()
  }

  /** Keeps what `version` replaces in its generation behind it, as far as a view may still read it. */
  replace(version: Version, replaced: Version): void {
    if (this.#open.size === 0) return
    if (replaced.modRevision <= this.#newest) {
      version.older = replaced
    } else {
      version.older = replaced.older
      replaced.older = null
    }
    if (version.older === null) return
    this.#kept.push(version)
    if (this.#kept.length >= this.#pruneAt) this.#prune()
  }

  /** Cuts each chain behind the version which the oldest view reads. */
  #prune(): void {
    let oldest = Number.POSITIVE_INFINITY
    for (const view of this.#open) oldest = Math.min(oldest, view.revision)
    for (const version of this.#kept) {
      let read: Version | null = version
      while (read !== null && read.modRevision > oldest) read = read.older
      if (read !== null) read.older = null
    }
    this.#kept = this.#kept.filter(version => version.older !== null)
    this.#pruneAt = Math.max(pruneMin, 2 * this.#kept.length)
  }
}

/** The version of a key that a view of `revision` reads in a generation; undefined where it has none up to there. */
export function versionAt(generation: Generation, key: string, revision: number): Version | undefined {
  let version = generation.versions.get(key)
  while (version !== undefined && version.modRevision > revision) version = version.older ?? undefined
  return version
}
