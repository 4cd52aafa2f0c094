// Has the state looked at before LevelDB is let at it again, where the process ended by itself soon after its start.
//
// LevelDB verifies what is read, and not what it merges: a damaged key of a table fails an assertion of LevelDB's own, which
// ends the process without a word, and at each start again. So a file marks the first minute of a life. A start that finds
// the mark of one which had no end of its own does not trust the tables of the state.
import { access, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cancel, Env } from '../base/env.ts'
import { checkLevelFiles, isTableName } from '../level/level-files.ts'

/** LevelDB goes on with a merge as soon as it is opened again, so the second end of this kind comes within seconds. */
const earlyMs = 60_000

export class EarlyEnd {
  readonly #env: Pick<Env, 'after'>
  readonly #folder: string
  readonly #mark: string
  #lasts: Cancel | null = null

  /** Of the data directory `folder`. */
  constructor(env: Pick<Env, 'after'>, folder: string) {
    this.#env = env
    this.#folder = folder
    this.#mark = join(folder, 'starting')
  }

  /** A life begins, and the directory is locked for it. True where the one before ended by itself within a minute. */
  async begin(): Promise<boolean> {
    const isMarked = await access(this.#mark).then(
      () => true,
      () => false
    )
    // A disk that takes no mark has other things to tell.
    if (!isMarked) await writeFile(this.#mark, '', { mode: 0o600 }).catch(() => {})
    this.#lasts = this.#env.after(earlyMs, () => void this.end())
    return isMarked
  }

  /** The life has lasted, or comes to an end of its own. */
  async end(): Promise<void> {
    this.#lasts?.()
    this.#lasts = null
    await rm(this.#mark, { force: true }).catch(() => {})
  }

  /** What is damaged in the tables of the state of this name, in a sentence; null for nothing. */
  async damageOf(state: string): Promise<string | null> {
    // What cannot be read here is told by who opens it.
    const { faults } = await checkLevelFiles(join(this.#folder, state)).catch(() => ({ faults: [] }))
    const fault = faults.find(({ file }) => isTableName(file))
    return fault === undefined ? null : `${state}/${fault.text}`
  }
}
