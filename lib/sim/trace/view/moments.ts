// What happened, line by line: each event at the time it begins, and again when it ends. For lists, for terminals and for diffs.
import type { Recording, TracedCall, TracedFault, TracedMessage, TraceEvent } from '../events.ts'

/** One line: when, where, what. */
export interface Moment {
  readonly at: number
  readonly number: number
  /** A node, `c3` for the third client, or nothing for all of them. */
  readonly lane: string
  readonly verb: string
  readonly text: string
  /** Index of its event in the recording. */
  readonly event: number
}

export function momentsOf(recording: Recording): Moment[] {
  const moments: Moment[] = []
  const { events, until } = recording
  for (let index = 0; index < events.length; index++) {
    for (const moment of momentsOfEvent(events[index]!, index)) if (moment.at <= until) moments.push(moment)
  }
  return moments.sort((a, b) => a.at - b.at || a.number - b.number)
}

export function momentsOfEvent(event: TraceEvent, index: number): Moment[] {
  const { at, number } = event
  const one = (lane: string, verb: string, text: string): Moment[] => [{ at, number, lane, verb, text, event: index }]
  switch (event.kind) {
    case 'message':
      return momentsOfMessage(event, index)
    case 'call':
      return momentsOfCall(event, index)
    case 'fault':
      return momentsOfFault(event, index)
    case 'role':
      return one(event.node, 'becomes', roleText(event.role, event.term, event.leader))
    case 'commit':
      return one(event.node, 'commits', `up to ${event.index}`)
    case 'applied':
      return one(event.node, 'applies', `up to ${event.index}`)
    case 'life': {
      const until = event.until === null ? '' : `until ${timeText(event.until)}`
      return one(event.node, event.change, [until, event.text].filter(text => text !== '').join(' '))
    }
    case 'violation':
      return one('', 'VIOLATION', `${event.invariant} ${event.text}`)
    default:
      return one(event.node ?? '', 'note', event.text)
  }
}

export function momentsOfMessage(event: TracedMessage, index: number): Moment[] {
  const { at, number, from, to, fate, until, untilNumber } = event
  const text = event.copy ? `${event.text} (a copy)` : event.text
  if (until === null || untilNumber === null) {
    return [{ at, number, lane: from, verb: 'sends', text: `${text} (not seen to arrive)`, event: index }]
  }
  const lost = `${text} (${event.why})`
  const sent = { at, number, lane: from, verb: 'sends', text, event: index }
  if (fate === 'dropped' && until === at) return [{ at, number, lane: from, verb: 'loses', text: lost, event: index }]
  const end =
    fate === 'dropped'
      ? { verb: 'misses', text: lost }
      : { verb: 'receives', text: `${text} (after ${timeText(until - at)})` }
  const ended = { at: until, number: untilNumber, lane: to, ...end, event: index }
  // Nobody has sent a copy.
  return event.copy ? [ended] : [sent, ended]
}

export function momentsOfCall(event: TracedCall, index: number): Moment[] {
  const { at, number, until, untilNumber, text, node } = event
  const lane = `c${event.process}`
  const asked = node === null ? text : `${text} -> ${node}`
  const begin = { at, number, lane, verb: 'calls', text: asked, event: index }
  if (until === null || untilNumber === null) return [{ ...begin, text: `${asked} (open at the end)` }]
  const told = `${text}${event.answer === '' ? '' : `: ${event.answer}`} (after ${timeText(until - at)})`
  return [begin, { at: until, number: untilNumber, lane, verb: event.outcome ?? 'info', text: told, event: index }]
}

export function momentsOfFault(event: TracedFault, index: number): Moment[] {
  const { at, number, until } = event
  const text = faultText(event)
  const lane = event.nodes.length === 1 ? event.nodes[0]! : ''
  const begin = { at, number, lane, verb: 'fault', text, event: index }
  // Its end is not an event of its own: it stands after what else happened at that time.
  return until === null
    ? [begin]
    : [begin, { at: until, number: Number.MAX_SAFE_INTEGER, lane, verb: 'over', text, event: index }]
}

export function faultText({ what, text, nodes }: TracedFault): string {
  return [what, text === '' ? nodes.join(',') : text].filter(part => part !== '').join(' ')
}

export function roleText(role: string | null, term: number, leader: string | null): string {
  if (role === null) return 'unknown'
  const of = role === 'leader' ? '' : leader === null ? ' of nobody' : ` of ${leader}`
  return `${role} @${term}${role === 'follower' || role === 'learner' ? of : ''}`
}

/** Milliseconds, to the microsecond. */
export function timeText(ms: number): string {
  return ms.toFixed(3)
}

/** An index that a node had reached, where that is known. */
export function indexText(index: number): string {
  return index < 0 ? '?' : String(index)
}
