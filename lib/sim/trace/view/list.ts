// The list at the side: all moments that are shown, of which only those in sight are in the document.
import type { TraceEvent } from '../events.ts'
import type { Page, PageElement } from './dom.ts'
import type { Filters } from './layout.ts'
import { firstNotBelow, type Model } from './model.ts'
import { type Moment, timeText } from './moments.ts'
import type { View } from './scale.ts'

export const rowHeight = 21

/** Whether the filters let an event be seen. */
export function isShown(event: TraceEvent, filters: Filters): boolean {
  switch (event.kind) {
    case 'message':
      return filters.kinds[event.what] && filters.nodes[event.from] === true && filters.nodes[event.to] === true
    case 'commit':
    case 'applied':
      return filters.indexes && filters.nodes[event.node] === true
    case 'call':
      return filters.calls
    case 'fault':
      return filters.faults
    case 'role':
    case 'life':
      return filters.nodes[event.node] === true
    default:
      return true
  }
}

/** Moments of which each of the words is a part, in whatever case; all where there is no word. */
export function momentsMatching(model: Model, filters: Filters, search: string): Moment[] {
  const words = search
    .toLowerCase()
    .split(/\s+/)
    .filter(word => word !== '')
  return model.moments.filter(moment => {
    if (!isShown(model.recording.events[moment.event]!, filters)) return false
    if (words.length === 0) return true
    const whole = `${timeText(moment.at)} ${moment.lane} ${moment.verb} ${moment.text}`.toLowerCase()
    return words.every(word => whole.includes(word))
  })
}

/** The class of a row, for its colour. */
export function classOf(event: TraceEvent): string {
  if (event.kind === 'message') return event.fate === 'dropped' ? 'drop' : event.what
  if (event.kind === 'role') return event.role
  if (event.kind === 'call') return event.outcome ?? 'quiet'
  if (event.kind === 'life') return event.change === 'started' ? 'ok' : 'drop'
  return event.kind === 'violation' ? 'violation' : event.kind === 'fault' ? 'fault' : 'quiet'
}

export class MomentList {
  readonly #page: Page
  readonly #model: Model
  readonly #box: PageElement
  readonly #space: PageElement
  readonly #rows: PageElement
  moments: readonly Moment[] = []

  /** `box` scrolls, `space` is as high as all rows would be, `rows` holds those in sight. */
  constructor(page: Page, model: Model, box: PageElement, space: PageElement, rows: PageElement) {
    this.#page = page
    this.#model = model
    this.#box = box
    this.#space = space
    this.#rows = rows
  }

  show(moments: readonly Moment[]): void {
    this.moments = moments
    this.#space.style.setProperty('height', `${moments.length * rowHeight}px`)
  }

  /** The moment in the row at this height of the window; undefined below the last. */
  momentAt(clientY: number): Moment | undefined {
    const { top } = this.#box.getBoundingClientRect()
    return this.moments[Math.floor((clientY - top + this.#box.scrollTop) / rowHeight)]
  }

  /** Where an event stands in the list, its beginning if both are there; -1 where it is not shown. */
  rowOf(event: number): number {
    return this.moments.findIndex(moment => moment.event === event)
  }

  firstRowAt(at: number): number {
    return firstNotBelow(this.moments.length, row => this.moments[row]!.at, at)
  }

  /** Scrolls so that this row is in sight, with something before it to read. */
  reveal(row: number): void {
    const above = row * rowHeight - this.#box.scrollTop
    if (above >= rowHeight && above <= this.#box.clientHeight - 2 * rowHeight) return
    this.#box.scrollTop = Math.max(0, row * rowHeight - this.#box.clientHeight / 3)
  }

  scrollTo(row: number): void {
    this.#box.scrollTop = row * rowHeight
  }

  paint(view: View, pinned: number, hovered: number): void {
    const first = Math.max(0, Math.floor(this.#box.scrollTop / rowHeight) - 4)
    const count = Math.ceil(this.#box.clientHeight / rowHeight) + 8
    const rows = this.moments.slice(first, first + count).map(moment => this.#row(moment, view, pinned, hovered))
    this.#rows.replaceChildren(...rows)
    this.#rows.style.setProperty('transform', `translateY(${first * rowHeight}px)`)
  }

  #row(moment: Moment, view: View, pinned: number, hovered: number): PageElement {
    const event = this.#model.recording.events[moment.event]!
    const row = this.#page.document.createElement('div')
    const inView = moment.at >= view.from && moment.at <= view.to ? ' in-view' : ''
    const isPinned = moment.event === pinned ? ' pinned' : ''
    const isHovered = moment.event === hovered ? ' hovered' : ''
    row.className = `row ${classOf(event)}${inView}${isPinned}${isHovered}`
    row.title = moment.text
    row.append(
      this.#cell('time', timeText(moment.at)),
      this.#cell('lane', moment.lane),
      this.#cell('verb', moment.verb),
      this.#cell('what', moment.text)
    )
    return row
  }

  #cell(name: string, text: string): PageElement {
    const cell = this.#page.document.createElement('span')
    cell.className = name
    cell.textContent = text
    return cell
  }
}
