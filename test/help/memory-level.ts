// LevelDB in memory, whose reads and writes happen, and are heard of, when their owner lets them.
import { AbstractIterator, AbstractLevel } from 'abstract-level'
import { compareBytes, toHex } from '../../lib/base/bytes.ts'

type Entry = [Uint8Array, Uint8Array]
interface Operation {
  readonly type: 'put' | 'del'
  readonly key: Uint8Array
  readonly value?: Uint8Array
}
interface Range {
  readonly gte?: Uint8Array
  readonly lt?: Uint8Array
  readonly reverse?: boolean
}

/** What is durable: a database by its keys in hexadecimal. It outlives its readers. */
export type LevelImage = Map<string, Entry>

/** Resolves when `what` may go on. Never once the process that asks has died. */
export type Wait = (what: string) => Promise<void>

/** Each operation waits twice: before it is done, and before its caller hears of it. */
export class MemoryLevel extends AbstractLevel<string | Buffer | Uint8Array, Uint8Array, Uint8Array> {
  readonly image: LevelImage
  readonly wait: Wait

  constructor(image: LevelImage, wait: Wait) {
    super({ encodings: { view: true } }, { keyEncoding: 'view', valueEncoding: 'view' })
    this.image = image
    this.wait = wait
  }

  async _open(): Promise<void> {}

  async _close(): Promise<void> {}

  async _get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return await this.#twice('get', () => this.image.get(toHex(key))?.[1])
  }

  async _getMany(keys: Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return await this.#twice('get many', () => keys.map(key => this.image.get(toHex(key))?.[1]))
  }

  async _batch(operations: Operation[]): Promise<void> {
    const copies = operations.map(({ type, key, value }) => ({ type, key: key.slice(), value: value?.slice() }))
    await this.#twice('batch', () => {
      for (const { type, key, value } of copies) {
        if (type === 'put') this.image.set(toHex(key), [key, value!])
        else this.image.delete(toHex(key))
      }
    })
  }

  /** There is no file and no table to tell apart. */
  async compactRange(): Promise<void> {
    await this.#twice('compact', () => {})
  }

  /** What it shows is fixed when it is made, as LevelDB does. */
  _iterator(options: Range): AbstractIterator<MemoryLevel, Uint8Array, Uint8Array> {
    const entries = [...this.image.values()]
      .filter(([key]) => options.gte === undefined || compareBytes(key, options.gte) >= 0)
      .filter(([key]) => options.lt === undefined || compareBytes(key, options.lt) < 0)
      .toSorted((a, b) => compareBytes(a[0], b[0]))
      // Copies, because abstract-level decodes in place.
      .map(([key, value]): Entry => [key, value])
    if (options.reverse === true) entries.reverse()
    return new MemoryIterator(this, options, entries)
  }

  async #twice<T>(what: string, act: () => T): Promise<T> {
    await this.wait(what)
    const result = act()
    await this.wait(`${what} is heard of`)
    return result
  }
}

class MemoryIterator extends AbstractIterator<MemoryLevel, Uint8Array, Uint8Array> {
  readonly #level: MemoryLevel
  readonly #entries: Entry[]

  constructor(level: MemoryLevel, options: Range, entries: Entry[]) {
    super(level, options)
    this.#level = level
    this.#entries = entries
  }

  async _next(): Promise<Entry | undefined> {
    await this.#level.wait('next')
    return this.#entries.shift()
  }

  async _nextv(size: number): Promise<Entry[]> {
    await this.#level.wait('next many')
    return this.#entries.splice(0, size)
  }
}
