// What one life of a node needs of its data directory: the seam that the simulator fills with a disk of its own.
import type { Done } from '../base/env.ts'
import type { Directory } from '../log/directory.ts'
import type { Level } from '../log/level.ts'
import type { Slots } from '../log/slots.ts'

/** The states of the machine are not here: whoever makes the machine knows where the one of this name is. */
export interface Disk {
  /** Makes the place of everything else durably; no error when it is there. Before it, nothing else is asked for. */
  prepare(done: Done): void
  /** The database of the log, not yet open. */
  log(): Level
  /** What the node must not forget. */
  slots(): Slots
  /** Where the numbered state directories are. */
  readonly directory: Directory
}
