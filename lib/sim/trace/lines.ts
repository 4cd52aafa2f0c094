// A trace as lines of text, one for each moment, the same for the same run: to read on a terminal, to search, to compare.
import type { Recording } from './events.ts'
import { momentsOf, timeText } from './view/moments.ts'

/** The lines; first what was left out, where something was. Nothing in them moves a cursor. */
export function traceLines(recording: Recording): string[] {
  const notices = leftOutLines(recording).map(line => `# ${line}`)
  const moments = momentsOf(recording)
  const timeWidth = timeText(recording.until).length
  const laneWidth = moments.reduce((width, { lane }) => Math.max(width, lane.length), 0)
  const lines = moments.map(({ at, lane, verb, text }) => {
    const columns = [timeText(at).padStart(timeWidth), lane.padEnd(laneWidth), verb.padEnd(verbWidth), text]
    return plain(columns.join('  ').trimEnd())
  })
  return [...notices, ...lines]
}

/** In sentences, what is missing of a recording; empty when nothing is. */
export function leftOutLines({ leftOut }: Recording): string[] {
  return leftOut.map(({ what, keep, kept, leftOut, edge }) => {
    const side = keep === 'last' ? `before ${timeText(edge)} ms` : `after ${timeText(edge)} ms`
    return `${what}: the ${keep} ${count(kept)} are kept, ${count(leftOut)} ${side} are left out`
  })
}

/** As wide as the longest verb, `violation`. */
const verbWidth = 9

function count(value: number): string {
  return value.toLocaleString('en')
}

function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, character => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
