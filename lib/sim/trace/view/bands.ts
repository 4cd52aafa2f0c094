// Paints what lies around the nodes: the axis of time, faults, the calls of clients, notes and violations.
import type { TracedCall, TracedFault } from '../events.ts'
import type { Pen } from './dom.ts'
import { axisHeight, callHeight, faultFamily, faultHeight, gutter, margin, type Scene, xOf } from './layout.ts'
import { type Spanned, spansWithin } from './model.ts'
import { faultText } from './moments.ts'
import { ticksOf } from './scale.ts'

export function paintAxis(pen: Pen, scene: Scene): void {
  const { layout, view, colours } = scene
  const { times, digits } = ticksOf(view, (layout.width - gutter) / 110)
  pen.font = '11px system-ui, sans-serif'
  pen.textAlign = 'center'
  pen.textBaseline = 'middle'
  pen.lineWidth = 1
  pen.strokeStyle = colours['line']
  pen.fillStyle = colours['quiet']
  pen.beginPath()
  for (const time of times) {
    const x = Math.round(xOf(scene, time)) + 0.5
    pen.moveTo(x, axisHeight - 6)
    pen.lineTo(x, layout.height)
    if (x > gutter + 18 && x < layout.width - margin - 10) pen.fillText(time.toFixed(digits), x, axisHeight / 2 - 2)
  }
  pen.stroke()
  pen.textAlign = 'left'
  pen.fillText('ms of virtual time', 10, axisHeight / 2 - 2)
}

/** Runs `paint` with nothing painted outside of the part where time runs. */
export function within(pen: Pen, { layout }: Scene, paint: () => void): void {
  pen.save()
  pen.beginPath()
  pen.rect(gutter, 0, layout.width - gutter - margin / 2, layout.height)
  pen.clip()
  paint()
  pen.restore()
}

export function paintFaults(pen: Pen, scene: Scene): void {
  const { layout, view, colours } = scene
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  pen.font = '11px system-ui, sans-serif'
  for (const { spans, y } of layout.rows) {
    for (const span of spansWithin(spans, view.from, view.to)) {
      const { x, width } = boxOf(scene, span)
      const colour = colours[faultFamily(span.of.what)]
      pen.fillStyle = colour
      pen.globalAlpha = 0.07
      for (const node of span.of.nodes) {
        const at = layout.yOf.get(node)
        if (at !== undefined) pen.fillRect(x, at - 24, width, 44)
      }
      pen.globalAlpha = 0.22
      pen.fillRect(x, y + 1, width, faultHeight - 3)
      pen.globalAlpha = 1
      pen.fillRect(x, y + 1, 2, faultHeight - 3)
      paintFitting(pen, faultText(span.of), x + 6, y + faultHeight / 2, width - 8, colours['ink']!)
    }
  }
}

export function boxOf(
  scene: Scene,
  { from, to }: Spanned<TracedFault> | Spanned<TracedCall>
): { x: number; width: number } {
  const x = Math.max(gutter, xOf(scene, from))
  return { x, width: Math.max(2, Math.min(scene.layout.width - margin, xOf(scene, to)) - x) }
}

/** The text, or as much of it as fits; nothing where too little would be left. */
export function paintFitting(pen: Pen, text: string, x: number, y: number, width: number, colour: string): void {
  const room = Math.floor(width / 6)
  if (room < 3) return
  pen.fillStyle = colour
  let fitting = text.slice(0, Math.min(text.length, room * 2))
  while (fitting.length > 2 && pen.measureText(fitting).width > width) fitting = `${fitting.slice(0, -2)}…`
  if (fitting.length > 2 || fitting === text) pen.fillText(fitting, x, y)
}

export function paintCalls(pen: Pen, scene: Scene): void {
  const { layout, view, colours, matches } = scene
  pen.font = '10px system-ui, sans-serif'
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  for (const { spans, y } of layout.calls) {
    for (const span of spansWithin(spans, view.from, view.to)) {
      const { x, width } = boxOf(scene, span)
      const { outcome, text, answer } = span.of
      pen.fillStyle = colours[outcome ?? 'quiet']
      const dim = matches !== null && !matches.has(span.event)
      pen.globalAlpha = dim ? 0.1 : 0.3
      // A little less than to the next one, so that calls one after another stay apart.
      const shown = Math.max(1.5, width - 1)
      pen.fillRect(x, y + 1, shown, callHeight - 3)
      pen.globalAlpha = dim ? 0.2 : 1
      pen.fillRect(x, y + 1, Math.min(2, shown), callHeight - 3)
      if (outcome === 'info' || outcome === null) {
        pen.fillRect(x + shown - 3, y + callHeight / 2 - 1, 3, 2)
      }
      paintFitting(
        pen,
        answer === '' ? text : `${text}: ${answer}`,
        x + 5,
        y + callHeight / 2,
        width - 8,
        colours['ink']!
      )
      pen.globalAlpha = 1
    }
  }
}

/** A line across everything, with its text; several texts stand below each other. */
export function paintViolations(pen: Pen, scene: Scene): void {
  const { layout, view, colours, model } = scene
  pen.textBaseline = 'middle'
  pen.textAlign = 'left'
  for (const { at, node } of model.notes) {
    if (at < view.from || at > view.to) continue
    const x = xOf(scene, at)
    const y = node === null ? undefined : layout.yOf.get(node)
    if (node === null) paintUpright(pen, x, layout.height, colours['quiet']!, 1)
    else if (y !== undefined) paintFlag(pen, x, y - 5, colours['ink']!)
  }
  let row = 0
  for (const { at, text } of model.violations) {
    if (at < view.from || at > view.to) continue
    const x = xOf(scene, at)
    paintUpright(pen, x, layout.height, colours['drop']!, 2.5)
    pen.font = '600 12px system-ui, sans-serif'
    const shown = text.length > 110 ? `${text.slice(0, 109)}…` : text
    const width = pen.measureText(shown).width + 16
    const left = Math.max(gutter, Math.min(x - width / 2, layout.width - margin - width))
    const y = layout.bottom - 10 - 22 * row++
    pen.fillStyle = colours['drop']
    pen.fillRect(left, y - 10, width, 20)
    pen.fillStyle = colours['card']
    pen.fillText(shown, left + 8, y + 0.5)
  }
}

/** Something was found at a node: a small flag above its line. */
export function paintFlag(pen: Pen, x: number, y: number, colour: string): void {
  pen.fillStyle = colour
  pen.fillRect(x - 0.5, y - 9, 1.5, 9)
  pen.beginPath()
  pen.moveTo(x, y - 9)
  pen.lineTo(x + 7, y - 6.5)
  pen.lineTo(x, y - 4)
  pen.fill()
}

export function paintUpright(pen: Pen, x: number, height: number, colour: string, width: number): void {
  pen.strokeStyle = colour
  pen.lineWidth = width
  pen.beginPath()
  pen.moveTo(x, axisHeight - 4)
  pen.lineTo(x, height)
  pen.stroke()
}

/** Where traffic was left out of the trace, it is not that nothing happened: the part is hatched. */
export function paintLeftOut(pen: Pen, scene: Scene): void {
  const { layout, colours, model } = scene
  const missing = model.recording.leftOut.find(({ what }) => what === 'messages and indexes')
  if (missing === undefined) return
  const edge = xOf(scene, missing.edge)
  const from = missing.keep === 'last' ? gutter : Math.max(gutter, edge)
  const to = missing.keep === 'last' ? Math.min(layout.width - margin, edge) : layout.width - margin
  if (to <= from) return
  pen.save()
  pen.beginPath()
  pen.rect(from, layout.top, to - from, layout.bottom - layout.top)
  pen.clip()
  pen.strokeStyle = colours['line']
  pen.lineWidth = 1
  pen.beginPath()
  const height = layout.bottom - layout.top
  for (let x = from - height; x < to; x += 12) {
    pen.moveTo(x, layout.bottom)
    pen.lineTo(x + height, layout.top)
  }
  pen.stroke()
  pen.font = '11px system-ui, sans-serif'
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  paintFitting(pen, 'messages left out here', from + 8, layout.top + 8, to - from - 12, colours['quiet']!)
  pen.restore()
}
