// The tools above the diagram: what is shown, with how many there are of it, and the buttons.
import type { MessageKind, Recording } from '../events.ts'
import type { Page, PageElement } from './dom.ts'
import type { Filters } from './layout.ts'

export function filtersOf(recording: Recording): Filters {
  return {
    kinds: { vote: true, append: true, heartbeat: false, read: true, snapshot: true, other: true },
    nodes: Object.fromEntries(recording.nodes.map(node => [node, true])),
    indexes: true,
    calls: true,
    faults: true
  }
}

export const kindNames: Record<MessageKind, string> = {
  vote: 'votes',
  append: 'appends',
  heartbeat: 'heartbeats',
  read: 'reads',
  snapshot: 'snapshots',
  other: 'other messages'
}

/** A box to tick; `name` is the class of its colour. */
export function toggle(page: Page, name: string, text: string, on: boolean, turn: (on: boolean) => void): PageElement {
  const label = page.document.createElement('label')
  label.className = `toggle ${name}`
  const box = page.document.createElement('input')
  box.setAttribute('type', 'checkbox')
  box.checked = on
  box.addEventListener('change', () => turn(box.checked))
  label.append(box, text)
  return label
}

/** A tick for each sort of event of which there are any. */
export function togglesOf(page: Page, recording: Recording, filters: Filters, changed: () => void): PageElement[] {
  const counts = new Map<string, number>()
  for (const event of recording.events) {
    const name = event.kind === 'message' ? event.what : event.kind
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const countOf = (...names: string[]): number => names.reduce((sum, name) => sum + (counts.get(name) ?? 0), 0)
  const toggles: PageElement[] = []
  for (const kind of Object.keys(kindNames) as MessageKind[]) {
    if (countOf(kind) === 0) continue
    const turn = (on: boolean): void => {
      filters.kinds[kind] = on
      changed()
    }
    toggles.push(
      toggle(page, kind, `${kindNames[kind]} ${countOf(kind).toLocaleString('en')}`, filters.kinds[kind], turn)
    )
  }
  const rest = [
    { field: 'indexes', name: 'commit', text: 'commits and applies', count: countOf('commit', 'applied') },
    { field: 'calls', name: 'ok', text: 'client calls', count: countOf('call') },
    { field: 'faults', name: 'fault', text: 'faults', count: countOf('fault') }
  ] as const
  for (const { field, name, text, count } of rest) {
    if (count === 0) continue
    const turn = (on: boolean): void => {
      filters[field] = on
      changed()
    }
    toggles.push(toggle(page, name, `${text} ${count.toLocaleString('en')}`, filters[field], turn))
  }
  return toggles
}

export function nodeTogglesOf(page: Page, filters: Filters, changed: () => void): PageElement[] {
  return Object.keys(filters.nodes).map(node =>
    toggle(page, 'node', node, true, on => {
      filters.nodes[node] = on
      changed()
    })
  )
}
