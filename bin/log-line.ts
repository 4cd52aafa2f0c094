// A line of a node's log for people: time, level and text of the JSON that it is.
import { shown, styled } from './print.ts'

const colourOfLevel: Readonly<Record<string, 'red' | 'yellow' | 'gray'>> = {
  fatal: 'red',
  error: 'red',
  warn: 'yellow',
  debug: 'gray'
}

/** The line as it is where it is no JSON of a log. */
export function readableLine(line: string): string {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return shown(line)
  }
  if (typeof value !== 'object' || value === null || !('level' in value) || typeof value.level !== 'string')
    return shown(line)
  const time = 'time' in value && typeof value.time === 'string' ? `${value.time.slice(11, 19)} ` : ''
  const text = 'msg' in value ? value.msg : 'event' in value ? value.event : ''
  const level = Object.hasOwn(colourOfLevel, value.level) ? colourOfLevel[value.level] : undefined
  const mark = value.level === 'info' ? '' : `${level === undefined ? value.level : styled(level, value.level)}: `
  return `${time}${mark}${shown(String(text))}`
}
