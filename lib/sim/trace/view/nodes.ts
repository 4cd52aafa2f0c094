// Paints the lines of the nodes: their roles, terms and lives, what holds them up, and how far they have committed.
import type { Pen } from './dom.ts'
import { gutter, margin, type Scene, xOf } from './layout.ts'
import { firstNotBelow, type Mark, type NodeLine, type Stretch } from './model.ts'

export function paintNodes(pen: Pen, scene: Scene): void {
  for (const { line, y } of scene.layout.nodes) {
    for (const stretch of line.stretches) paintStretch(pen, scene, stretch, y)
    for (const { from, to } of line.holds) paintHold(pen, scene, from, to, y)
    for (const { at, begins } of line.lives) paintLife(pen, scene, at, begins, y)
    if (scene.filters.indexes) paintMarks(pen, scene, line, y)
    paintLabels(pen, scene, line, y)
  }
}

/** A leader's line is thick and a follower's thin, for those who do not see the colours. */
export function thicknessOf(role: Stretch['role']): number {
  return role === 'leader' ? 9 : role === 'candidate' ? 7 : role === 'pre-candidate' ? 5 : role === 'learner' ? 2 : 3
}

export function paintStretch(pen: Pen, scene: Scene, stretch: Stretch, y: number): void {
  const x = Math.max(gutter, xOf(scene, stretch.from))
  const end = Math.min(scene.layout.width - margin, xOf(scene, stretch.to))
  if (end < x) return
  if (!stretch.alive) {
    pen.strokeStyle = scene.colours['quiet']
    pen.lineWidth = 1
    pen.setLineDash([2, 5])
    pen.beginPath()
    pen.moveTo(x, y)
    pen.lineTo(end, y)
    pen.stroke()
    pen.setLineDash([])
    return
  }
  const thick = thicknessOf(stretch.role)
  pen.fillStyle = scene.colours[stretch.role ?? 'follower']
  pen.fillRect(x, y - thick / 2, Math.max(end - x, 0.6), thick)
}

/** A process that is held up is there, but not going on: its line is broken. */
export function paintHold(pen: Pen, scene: Scene, from: number, to: number, y: number): void {
  const x = Math.max(gutter, xOf(scene, from))
  const end = Math.min(scene.layout.width - margin, xOf(scene, to))
  if (end < x) return
  pen.fillStyle = scene.colours['card']
  pen.fillRect(x, y - 6, Math.max(end - x, 1), 12)
  pen.strokeStyle = scene.colours['process']
  pen.lineWidth = 1
  pen.strokeRect(x, y - 4, Math.max(end - x, 1), 8)
  pen.save()
  pen.beginPath()
  pen.rect(x, y - 4, end - x, 8)
  pen.clip()
  pen.beginPath()
  for (let stripe = x - 8; stripe < end; stripe += 6) {
    pen.moveTo(stripe, y + 4)
    pen.lineTo(stripe + 8, y - 4)
  }
  pen.stroke()
  pen.restore()
}

export function paintLife(pen: Pen, scene: Scene, at: number, begins: boolean, y: number): void {
  const x = xOf(scene, at)
  if (x < gutter - 1 || x > scene.layout.width) return
  pen.lineWidth = 2
  pen.beginPath()
  if (begins) {
    pen.strokeStyle = scene.colours['ok']
    pen.fillStyle = scene.colours['card']
    pen.arc(x, y, 4, 0, 2 * Math.PI)
    pen.fill()
  } else {
    pen.strokeStyle = scene.colours['drop']
    pen.moveTo(x - 6, y - 6)
    pen.lineTo(x + 6, y + 6)
    pen.moveTo(x - 6, y + 6)
    pen.lineTo(x + 6, y - 6)
  }
  pen.stroke()
}

/** Ticks below the line where the commit index rises, dots where the machine follows; one at most for each pixel. */
export function paintMarks(pen: Pen, scene: Scene, line: NodeLine, y: number): void {
  pen.strokeStyle = scene.colours['commit']
  pen.fillStyle = scene.colours['commit']
  pen.font = '10px ui-monospace, monospace'
  pen.textAlign = 'left'
  pen.textBaseline = 'top'
  pen.lineWidth = 1.5
  const commits = marksWithin(line.commits, scene).filter(({ index, event }) => index > 0 && event >= 0)
  let before = -1
  pen.beginPath()
  for (let place = 0; place < commits.length; place++) {
    const { at, index } = commits[place]!
    const x = xOf(scene, at)
    if (x - before < 1) continue
    before = x
    pen.moveTo(x, y + 2)
    pen.lineTo(x, y + 11)
    const text = String(index)
    const next = commits[place + 1]
    const room = next === undefined ? scene.layout.width - margin - x : xOf(scene, next.at) - x
    if (room > 5 + text.length * 6.2) pen.fillText(text, x + 2, y + 5)
  }
  pen.stroke()
  before = -1
  for (const { at, index, event } of marksWithin(line.applies, scene)) {
    const x = xOf(scene, at)
    if (index <= 0 || event < 0 || x - before < 3) continue
    before = x
    pen.fillRect(x - 1.5, y + 11, 3, 3)
  }
}

export function marksWithin(marks: readonly Mark[], { view }: Scene): readonly Mark[] {
  const first = firstNotBelow(marks.length, at => marks[at]!.at, view.from)
  const last = firstNotBelow(marks.length, at => marks[at]!.at, view.to + 1e-9)
  return marks.slice(first, last)
}

interface Label {
  readonly x: number
  readonly text: string
  readonly role: Stretch['role']
}

/** What a node becomes is written where that happens; where not all have room, leaders come first, then campaigns. */
export function paintLabels(pen: Pen, scene: Scene, line: NodeLine, y: number): void {
  const labels: Label[] = []
  let before: Stretch | null = null
  for (const stretch of line.stretches) {
    const { alive, role, term } = stretch
    const news = before === null || before.role !== role || before.term !== term
    before = stretch
    const x = Math.max(gutter, xOf(scene, stretch.from))
    if (!alive || role === null || !news || stretch.to < scene.view.from || stretch.from > scene.view.to) continue
    labels.push({ x, text: role === 'follower' ? `t${term}` : `${role} t${term}`, role })
  }
  labels.sort((a, b) => thicknessOf(b.role) - thicknessOf(a.role) || a.x - b.x)
  pen.font = '11px system-ui, sans-serif'
  pen.textAlign = 'left'
  pen.textBaseline = 'bottom'
  const taken: { readonly from: number; readonly to: number }[] = []
  for (const { x, text, role } of labels) {
    const to = x + pen.measureText(text).width + 6
    if (to > scene.layout.width || taken.some(other => x < other.to && to > other.from)) continue
    taken.push({ from: x, to })
    pen.globalAlpha = 0.85
    pen.fillStyle = scene.colours['card']
    pen.fillRect(x, y - 19, to - x - 2, 13)
    pen.globalAlpha = 1
    pen.fillStyle = scene.colours[role === 'follower' || role === null ? 'quiet' : role]
    pen.fillText(text, x + 2, y - 6)
  }
}
