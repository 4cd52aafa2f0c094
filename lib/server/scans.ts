// The scans of a client link: pages of what a machine holds, sent as far as the client has given credit for them.
import { StrettoError } from '../base/errors.ts'
import type { Source, StateMachine } from '../machine/machine.ts'
import { type Question, writePage } from '../wire/client.ts'
import type { WatchedLink } from './watches.ts'

export interface ScansLimits {
  readonly scansMax: number
  readonly pageBytesMax: number
  /** Credit above this is cut: the link would be closed before. */
  readonly closeBytes: number
}

/** A place for a scan, which waits for its point or is being read. */
export interface OpenScan {
  /** Null until the point is reached at which it is to be read. */
  source: Source | null
  credit: number
  reading: boolean
}

export class Scans {
  readonly #limits: ScansLimits
  readonly #link: Pick<WatchedLink, 'send' | 'refuse'>
  readonly #open = new Map<number, OpenScan>()

  constructor(limits: ScansLimits, link: Pick<WatchedLink, 'send' | 'refuse'>) {
    this.#limits = limits
    this.#link = link
  }

  /** Takes a place for a scan, or says why there is none. */
  begin(number: number): OpenScan | null {
    if (this.#open.has(number) || this.#open.size >= this.#limits.scansMax) {
      this.#link.refuse(number, new StrettoError('OVERLOADED', 'too many scans on one link', { retryAfterMs: 100 }))
      return null
    }
    const scan: OpenScan = { source: null, credit: this.#limits.pageBytesMax, reading: false }
    this.#open.set(number, scan)
    return scan
  }

  /** Its point is reached, or it is refused. */
  read({ number, body }: Question, scan: OpenScan, machine: StateMachine, refused: Error | null): void {
    // It was cancelled while it waited.
    if (this.#open.get(number) !== scan) return
    try {
      if (refused !== null) throw refused
      scan.source = machine.scan(body)
    } catch (error) {
      if (!(error instanceof StrettoError)) throw error
      this.#open.delete(number)
      this.#link.refuse(number, error)
      return
    }
    this.#page(number, scan)
  }

  /** False where it is none of these. */
  credit(number: number, amount: number): boolean {
    const scan = this.#open.get(number)
    if (scan === undefined) return false
    scan.credit = Math.min(scan.credit + amount, this.#limits.closeBytes)
    this.#page(number, scan)
    return true
  }

  end(number: number): void {
    this.#open.get(number)?.source?.close()
    this.#open.delete(number)
  }

  close(): void {
    for (const scan of this.#open.values()) scan.source?.close()
    this.#open.clear()
  }

  #page(number: number, scan: OpenScan): void {
    const { source } = scan
    if (source === null || scan.reading || scan.credit <= 0) return
    scan.reading = true
    source.page(Math.min(scan.credit, this.#limits.pageBytesMax), (error, page) => {
      scan.reading = false
      if (this.#open.get(number) !== scan) return
      if (error !== null || page.last) {
        this.#open.delete(number)
        source.close()
      }
      if (error !== null) {
        this.#link.refuse(number, error)
        return
      }
      scan.credit -= page.bytes.length
      this.#link.send(writePage({ number, last: page.last, body: page.bytes }))
      if (!page.last) this.#page(number, scan)
    })
  }
}
