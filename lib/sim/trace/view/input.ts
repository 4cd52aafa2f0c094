// What a person does with the trace page: wheel, drag, click, keys, buttons and search.
import type { Recording } from '../events.ts'
import type { Page, PageElement, PageEvent } from './dom.ts'
import { detailOf, eventAt } from './find.ts'
import { gutter, margin, timeOf } from './layout.ts'
import { mapTime } from './map.ts'
import { moved, zoomed } from './scale.ts'
import { TraceView } from './view.ts'

/** The one call of the page: everything begins here. */
export function startTraceView(page: Page, recording: Recording): TraceView {
  const trace = new TraceView(page, recording)
  listenToStage(trace)
  listenToMap(trace)
  listenToList(trace)
  listenToTools(trace)
  page.addEventListener('keydown', event => pressKey(trace, event))
  page.addEventListener('resize', () => trace.resize())
  page.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => trace.resize())
  return trace
}

/** Pixels that the pointer may move while a click remains a click. */
export const clickPixelsMax = 4

export function listenToStage(trace: TraceView): void {
  const overlay = trace.element('overlay')
  let drag: { readonly x: number; readonly view: TraceView['view']; far: boolean } | null = null
  overlay.addEventListener(
    'wheel',
    event => {
      event.preventDefault()
      turnWheel(trace, event, placeOf(overlay, event).x)
    },
    { passive: false }
  )
  overlay.addEventListener('pointerdown', event => {
    if (event.button !== 0) return
    overlay.setPointerCapture(event.pointerId)
    drag = { x: placeOf(overlay, event).x, view: trace.view, far: false }
  })
  overlay.addEventListener('pointermove', event => {
    const { x, y } = placeOf(overlay, event)
    if (drag !== null && Math.abs(x - drag.x) > clickPixelsMax) drag.far = true
    if (drag?.far === true) {
      const share = (drag.x - x) / (trace.scene.layout.width - gutter - margin)
      trace.go(moved(drag.view, share, trace.whole))
    }
    const found = drag?.far === true ? -1 : eventAt(trace.scene, x, y)
    trace.hover(found, x < gutter ? null : timeOf(trace.scene, x))
    showTip(trace, event)
  })
  overlay.addEventListener('pointerup', event => {
    const { x, y } = placeOf(overlay, event)
    if (drag !== null && !drag.far) trace.pin(eventAt(trace.scene, x, y))
    drag = null
  })
  overlay.addEventListener('pointerleave', () => {
    trace.hover(-1, null)
    trace.element('tip').hidden = true
  })
  overlay.addEventListener('dblclick', event => zoomAt(trace, 0.25, timeOf(trace.scene, placeOf(overlay, event).x)))
}

export function placeOf(element: PageElement, event: PageEvent): { readonly x: number; readonly y: number } {
  const { left, top } = element.getBoundingClientRect()
  return { x: event.clientX - left, y: event.clientY - top }
}

export function zoomAt(trace: TraceView, factor: number, at = (trace.view.from + trace.view.to) / 2): void {
  trace.go(zoomed(trace.view, factor, at, trace.whole))
}

/** Turning it zooms; turning it sideways, or with shift, moves. */
export function turnWheel(trace: TraceView, event: PageEvent, x: number): void {
  const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY)
  if (sideways || event.shiftKey) {
    const pixels = sideways ? event.deltaX : event.deltaY
    trace.go(moved(trace.view, pixels / trace.scene.layout.width, trace.whole))
  } else
    zoomAt(
      trace,
      Math.exp(Math.max(-200, Math.min(200, event.deltaY)) * 0.002),
      timeOf(trace.scene, Math.max(x, gutter))
    )
}

export function showTip(trace: TraceView, event: PageEvent): void {
  const tip = trace.element('tip')
  const found = trace.model.recording.events[trace.hovered]
  tip.hidden = found === undefined
  if (found === undefined) return
  tip.replaceChildren(...trace.detailRows(detailOf(trace.model, found)))
  const { width, height } = tip.getBoundingClientRect()
  const { clientWidth, clientHeight } = trace.page.document.documentElement
  const left = event.clientX + 16 + width > clientWidth ? event.clientX - 12 - width : event.clientX + 16
  const top = Math.min(event.clientY + 14, clientHeight - height - 8)
  tip.style.setProperty('transform', `translate(${Math.max(0, left)}px, ${Math.max(0, top)}px)`)
}

export function listenToMap(trace: TraceView): void {
  const map = trace.element('map')
  let held = false
  const follow = (event: PageEvent): void => {
    const at = mapTime(trace.whole, trace.scene.layout.width, placeOf(map, event).x)
    const middle = (trace.view.from + trace.view.to) / 2
    trace.go(moved(trace.view, (at - middle) / (trace.view.to - trace.view.from), trace.whole))
  }
  map.addEventListener('pointerdown', event => {
    held = true
    map.setPointerCapture(event.pointerId)
    follow(event)
  })
  map.addEventListener('pointermove', event => {
    if (held) follow(event)
  })
  map.addEventListener('pointerup', () => {
    held = false
  })
}

export function listenToList(trace: TraceView): void {
  const list = trace.element('list')
  list.addEventListener('scroll', () => trace.paint(false))
  list.addEventListener('click', event => {
    const moment = trace.list.momentAt(event.clientY)
    if (moment !== undefined) trace.pin(moment.event, moment)
  })
  list.addEventListener('pointermove', event => {
    const moment = trace.list.momentAt(event.clientY)
    trace.hover(moment?.event ?? -1, moment?.at ?? null)
  })
  list.addEventListener('pointerleave', () => trace.hover(-1, null))
}

export function listenToTools(trace: TraceView): void {
  for (const [id, act] of Object.entries(actsOf(trace))) trace.element(id).addEventListener('click', act)
  trace.element('to-violation').hidden = trace.model.violations.length === 0
  const search = trace.element('search')
  search.addEventListener('input', () => trace.search(search.value))
  search.addEventListener('keydown', event => {
    if (event.key === 'Enter') trace.step(event.shiftKey ? -1 : 1)
    else if (event.key === 'Escape') {
      search.value = ''
      trace.search('')
      trace.element('overlay').focus()
    }
  })
}

export function actsOf(trace: TraceView): Record<string, () => void> {
  return {
    'zoom-in': () => zoomAt(trace, 0.5),
    'zoom-out': () => zoomAt(trace, 2),
    earlier: () => trace.go(moved(trace.view, -0.25, trace.whole)),
    later: () => trace.go(moved(trace.view, 0.25, trace.whole)),
    all: () => trace.go(trace.whole),
    'to-violation': () => trace.pin(trace.model.violations.at(-1)?.event ?? -1)
  }
}

export function pressKey(trace: TraceView, event: PageEvent): void {
  const target = event.target as PageElement
  if (event.ctrlKey || event.metaKey || event.altKey || target === trace.element('search')) return
  const acts = actsOf(trace)
  const keys: Record<string, (() => void) | undefined> = {
    ArrowLeft: acts['earlier'],
    ArrowRight: acts['later'],
    ArrowDown: () => trace.step(1),
    ArrowUp: () => trace.step(-1),
    '+': acts['zoom-in'],
    '=': acts['zoom-in'],
    '-': acts['zoom-out'],
    '0': acts['all'],
    v: acts['to-violation'],
    Escape: () => trace.pin(-1),
    '/': () => trace.element('search').focus()
  }
  const act = keys[event.key]
  if (act === undefined) return
  event.preventDefault()
  act()
}
