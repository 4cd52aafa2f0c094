// The folders of a data directory, behind a seam so that the simulator can lose and wipe them.
import type { Done } from '../base/env.ts'

export interface Directory {
  /** Names in it, sorted. */
  list(done: Done<readonly string[]>): void
  /** Makes a folder durably; no error when it is there. */
  create(name: string, done: Done): void
  /** Removes a folder or file with all that is in it; no error when it is not there. */
  remove(name: string, done: Done): void
}
