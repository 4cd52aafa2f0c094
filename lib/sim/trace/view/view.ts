// The trace page at work: holds what is in view, pinned and searched for, and paints when any of it has changed.
import type { Recording } from '../events.ts'
import type { Canvas, Page, PageElement, Pen } from './dom.ts'
import { type Detail, detailOf } from './find.ts'
import { type Filters, layoutOf, type Scene } from './layout.ts'
import { MomentList, momentsMatching } from './list.ts'
import { mapHeight, paintMap } from './map.ts'
import { type Model, modelOf } from './model.ts'
import type { Moment } from './moments.ts'
import { keepWithin, showing, type View } from './scale.ts'
import { paintOverlay, paintStage } from './stage.ts'
import { filtersOf, nodeTogglesOf, togglesOf } from './tools.ts'

/** A little of nothing at the end, so that what happens last does not stand at the edge. */
export function wholeOf({ until }: Recording): View {
  return { from: 0, to: Math.max(until * 1.01, 1) }
}

/** Where to begin: at a violation, with so much before it as can be read; else with all. */
export function firstView({ recording, violations, messages }: Model, filters: Filters): View {
  const whole = wholeOf(recording)
  const last = violations.at(-1)
  if (last === undefined) return whole
  const wanted = 120
  const shown = messages.spans.filter(({ from, of }) => from <= last.at && filters.kinds[of.what])
  const from = shown.at(-wanted)?.from ?? whole.from
  const width = Math.max(last.at - from, 20)
  return keepWithin({ from: last.at - width, to: last.at + width * 0.06 }, whole)
}

export const colourNames = [
  'ground card ink quiet line leader candidate pre-candidate follower learner vote append heartbeat read snapshot other',
  'drop commit ok fail info process clock disk network'
]

export class TraceView {
  readonly page: Page
  readonly model: Model
  readonly filters: Filters
  readonly whole: View
  readonly list: MomentList
  view: View
  pinned = -1
  /** When the pinned event began, or ended where its end was chosen. */
  pinnedAt: number | null = null
  hovered = -1
  /** The time at the pointer. */
  at: number | null = null
  scene: Scene
  #moments: readonly Moment[] = []
  #chosen: Moment | null = null
  #search = ''
  #awaitsPaint = false
  #stageIsOld = true
  readonly #pens: { readonly stage: Pen; readonly overlay: Pen; readonly map: Pen }

  constructor(page: Page, recording: Recording) {
    this.page = page
    this.model = modelOf(recording)
    this.filters = filtersOf(recording)
    this.whole = wholeOf(recording)
    this.view = firstView(this.model, this.filters)
    this.list = new MomentList(page, this.model, this.element('list'), this.element('space'), this.element('rows'))
    const penOf = (id: string): Pen => (this.element(id) as Canvas).getContext('2d')
    this.#pens = { stage: penOf('stage'), overlay: penOf('overlay'), map: penOf('map') }
    this.scene = this.#sceneOf()
    const changed = (): void => this.filter()
    this.element('kinds').replaceChildren(...togglesOf(page, recording, this.filters, changed))
    this.element('nodes').replaceChildren(...nodeTogglesOf(page, this.filters, changed))
    this.filter()
    this.pin(this.model.violations.at(-1)?.event ?? -1)
  }

  element(id: string): PageElement {
    return this.page.document.getElementById(id)!
  }

  search(text: string): void {
    this.#search = text
    this.filter()
  }

  /** Filters or search have changed. */
  filter(): void {
    this.#moments = momentsMatching(this.model, this.filters, this.#search)
    this.list.show(this.#moments)
    const all = this.model.moments.length.toLocaleString('en')
    this.element('found').textContent = `${this.#moments.length.toLocaleString('en')} of ${all}`
    this.#follow()
    this.resize()
  }

  /** The window or the theme has changed, or what is to be laid out. */
  resize(): void {
    this.scene = this.#sceneOf()
    const { width, height } = this.scene.layout
    this.element('frame').style.setProperty('height', `${height}px`)
    // The stage may have a bar to scroll with at its side, which the map above it has not.
    this.element('map').style.setProperty('width', `${width}px`)
    const ratio = this.page.devicePixelRatio
    for (const id of ['stage', 'overlay', 'map'] as const) {
      const canvas = this.element(id) as Canvas
      canvas.width = Math.round(width * ratio)
      canvas.height = Math.round((id === 'map' ? mapHeight : height) * ratio)
      this.#pens[id].setTransform(ratio, 0, 0, ratio, 0, 0)
    }
    this.paint(true)
  }

  /** Shows another part of the run; the list goes along. */
  go(view: View): void {
    this.view = view
    this.scene = { ...this.scene, view }
    this.#follow()
    this.paint(true)
  }

  /** Keeps an event in sight; -1 for none. `chosen`: the line of the list by which it was chosen. */
  pin(event: number, chosen: Moment | null = null): void {
    const found = this.model.recording.events[event]
    this.#chosen = chosen
    this.pinned = found === undefined ? -1 : event
    this.pinnedAt = found === undefined ? null : (chosen?.at ?? found.at)
    // First, because it takes room from the list, in which the line of the event is to be seen.
    const detail = found === undefined ? [] : this.detailRows(detailOf(this.model, found))
    this.element('detail').replaceChildren(...detail)
    if (this.pinnedAt !== null) this.go(showing(this.view, this.pinnedAt, this.whole))
    this.paint(false)
  }

  hover(event: number, at: number | null): void {
    if (this.hovered === event && this.at === at) return
    this.hovered = event
    this.at = at
    this.paint(false)
  }

  /** Pins what stands next in the list, or (-1) before. */
  step(direction: 1 | -1): void {
    const row = this.#pinnedRow()
    const first = this.list.firstRowAt(this.view.from)
    const next = row >= 0 ? row + direction : direction === 1 ? first : first - 1
    const moment = this.list.moments[next]
    if (moment !== undefined) this.pin(moment.event, moment)
  }

  detailRows({ head, rows }: Detail): PageElement[] {
    const make = (name: string, text: string): PageElement => {
      const element = this.page.document.createElement(name)
      element.textContent = text
      return element
    }
    const table = this.page.document.createElement('dl')
    for (const [name, value] of rows) table.append(make('dt', name), make('dd', value))
    return [make('h2', head), table]
  }

  /** Paints before the next frame, once, whatever has changed until then. */
  paint(stageIsOld: boolean): void {
    this.#stageIsOld ||= stageIsOld
    if (this.#awaitsPaint) return
    this.#awaitsPaint = true
    this.page.requestAnimationFrame(() => {
      this.#awaitsPaint = false
      if (this.#stageIsOld) {
        paintStage(this.#pens.stage, this.scene)
        paintMap(this.#pens.map, this.scene, this.whole)
      }
      this.#stageIsOld = false
      paintOverlay(this.#pens.overlay, this.scene, this)
      this.list.paint(this.view, this.pinned, this.hovered)
    })
  }

  /** The list shows what the stage does: the pinned event while it is in view, else the first one in view. */
  #follow(): void {
    const row = this.#pinnedRow()
    const moment = this.list.moments[row]
    if (moment !== undefined && moment.at >= this.view.from && moment.at <= this.view.to) this.list.reveal(row)
    else this.list.scrollTo(this.list.firstRowAt(this.view.from))
  }

  #pinnedRow(): number {
    const row = this.#chosen === null ? -1 : this.list.moments.indexOf(this.#chosen)
    return row >= 0 ? row : this.list.rowOf(this.pinned)
  }

  #sceneOf(): Scene {
    const { clientWidth, clientHeight } = this.element('scroll')
    const style = this.page.getComputedStyle(this.page.document.documentElement)
    const colours: Record<string, string> = {}
    for (const name of colourNames.join(' ').split(' ')) colours[name] = style.getPropertyValue(`--${name}`).trim()
    const matches = this.#search.trim() === '' ? null : new Set(this.#moments.map(moment => moment.event))
    const layout = layoutOf(this.model, this.filters, clientWidth, clientHeight)
    return { model: this.model, filters: this.filters, layout, view: this.view, colours, matches }
  }
}
