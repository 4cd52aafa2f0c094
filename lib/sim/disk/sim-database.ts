// What outlives a process of one LevelDB: sorted tables, a write-ahead file, and what of it is on stable storage.
//
// The facts it is built on were measured with LevelDB (docs/DISK.md): a batch is there whole or not at all; a synced one
// takes all before it to stable storage; a power cut takes any of the others; opening makes durable all that it finds.
import sortedBTree from 'sorted-btree'

export type Rows = InstanceType<typeof sortedBTree.default<string, Row>>

export interface Row {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export interface Operation {
  /** The key as text, one character a byte: it sorts as its bytes do. */
  readonly text: string
  readonly key: Uint8Array
  /** Null: the key is deleted. */
  readonly value: Uint8Array | null
}

export type Write = readonly Operation[]

/** Hears each change of what is durable. */
export interface Watcher {
  /** In order, after `durable` has it. */
  changed(operation: Operation): void
  /** By a crash, by damage: all may be different. */
  rebuilt(): void
}

/** How a write ends: `lost`, not in the file; `hidden`, in the file, but readers do not see it until the next opening. */
export type WriteEnd = 'done' | 'lost' | 'hidden'

/** LevelDB begins a new file, and makes a table of the one before, when this much has been written. */
const fileBytesMax = 33_554_432

export class SimDatabase {
  /** The part of it that a power cut would leave. */
  durable = noRows()
  /** What readers see. */
  seen = noRows()
  /** Who has it open. */
  user: object | null = null
  watcher: Watcher | null = null
  /**
   * An append has failed halfway: what is written behind it is answered like any other, and gone at the next opening,
   * since the reader of the file loses its place there.
   */
  misplaced = false
  /** A sync has failed: every write is rejected until the next opening. */
  refusing = false
  #tables = noRows()
  /** The durable part of the write-ahead file. */
  #file: Write[] = []
  #fileBytes = 0
  #unsynced: Write[] = []
  #underWay: Write[] = []

  begin(write: Write): void {
    this.#underWay.push(write)
  }

  /** The first of those under way has ended. */
  end(write: Write, end: WriteEnd, sync: boolean): void {
    this.#underWay.splice(this.#underWay.indexOf(write), 1)
    if (end === 'done') apply(this.seen, write)
    if (end === 'lost' || this.misplaced) return
    this.#unsynced.push(write)
    if (sync) this.#harden(this.#unsynced.splice(0))
  }

  /** Reads the file and makes a table of it. */
  open(user: object): void {
    this.user = user
    this.#harden(this.#unsynced.splice(0))
    this.#makeTable()
    this.misplaced = false
    this.refusing = false
    this.seen = this.durable.clone()
  }

  /**
   * When the process is killed, a beginning of what was under way is there, and the system has what is not synced. When
   * the power fails, only some of both is there, since any part of the file may be missing. Returns how many writes are
   * lost that the system had.
   */
  crash(random: (below: number) => number, powerCut: boolean): number {
    const begun = this.misplaced || this.refusing ? [] : this.#underWay
    const before = this.#unsynced
    this.#underWay = []
    this.user = null
    this.misplaced = false
    this.refusing = false
    if (!powerCut) {
      this.#unsynced = [...before, ...begun.slice(0, random(begun.length + 1))]
      return 0
    }
    const kept = before.filter(() => random(2) === 0)
    this.#unsynced = []
    this.#harden([...kept, ...begun.filter(() => random(2) === 0)])
    return before.length - kept.length
  }

  /** Makes a table of all that is written. */
  settle(): void {
    if (this.misplaced) return
    this.#harden(this.#unsynced.splice(0))
    this.#makeTable()
  }

  get fileLength(): number {
    return this.#file.length
  }

  writeInFile(at: number): Write {
    return this.#file[at]!
  }

  /** Damage: a part of the file cannot be read, and what it had is missing. */
  loseFromFile(from: number, count: number): void {
    this.#file.splice(from, count)
    this.durable = this.#tables.clone()
    for (const write of this.#file) apply(this.durable, write)
    this.watcher?.rebuilt()
  }

  /** Damage: `text` has another value from now on. */
  alter(text: string, value: Uint8Array): void {
    const { key } = this.durable.get(text)!
    const at = this.#file.findLastIndex(write => write.some(operation => operation.text === text))
    if (at === -1) this.#tables.set(text, { key, value })
    else this.#file[at] = this.#file[at]!.map(each => (each.text === text ? { text, key, value } : each))
    this.durable.set(text, { key, value })
    this.watcher?.rebuilt()
  }

  #makeTable(): void {
    this.#tables = this.durable.clone()
    this.#file = []
    this.#fileBytes = 0
  }

  #harden(writes: readonly Write[]): void {
    for (const write of writes) {
      this.#file.push(write)
      for (const operation of write) {
        this.#fileBytes += operation.key.length + (operation.value?.length ?? 0)
        change(this.durable, operation)
        this.watcher?.changed(operation)
      }
    }
    if (this.#fileBytes > fileBytesMax) this.#makeTable()
  }
}

function noRows(): Rows {
  return new sortedBTree.default<string, Row>(undefined, compareText)
}

function apply(rows: Rows, write: Write): void {
  for (const operation of write) change(rows, operation)
}

function change(rows: Rows, { text, key, value }: Operation): void {
  if (value === null) rows.delete(text)
  else rows.set(text, { key, value })
}

/** Bytes as text that sorts as they do. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

function compareText(a: string, b: string): number {
  if (a < b) return -1
  return a > b ? 1 : 0
}
