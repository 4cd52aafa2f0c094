// What commands print: tables for people, JSON lines for programs, bare values for shells.
import { styleText } from 'node:util'
import { isEntry, jsonOfEntry, type PlainEntry, textOfBytes } from '../lib/server/json-entry.ts'

export const outputs = ['table', 'json', 'value'] as const
export type Output = (typeof outputs)[number]

/** What to print where `-o` is not given: tables on a terminal, JSON lines into anything else. */
export function defaultOutput(): Output {
  return process.stdout.isTTY ? 'table' : 'json'
}

/** One object, one line. */
export function printJson(object: object): void {
  process.stdout.write(`${JSON.stringify(object)}\n`)
}

/** The value as it is, and the end of a line. */
export function printValue(value: string | number | Uint8Array): void {
  if (value instanceof Uint8Array) {
    process.stdout.write(value)
    process.stdout.write('\n')
  } else process.stdout.write(`${value}\n`)
}

export function printLine(text: string): void {
  process.stdout.write(`${text}\n`)
}

export async function printTable(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[]
): Promise<void> {
  printLine(await tableText(head, rows))
}

export async function tableText(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[]
): Promise<string> {
  const { default: Table } = await import('cli-table3')
  const colour = hasColour()
  const table = new Table({
    head: [...head],
    style: { head: colour ? ['bold'] : [], border: colour ? ['grey'] : [], compact: true }
  })
  for (const row of rows) table.push(row.map(cell => (typeof cell === 'number' ? cell : shown(cell))))
  return table.toString()
}

export async function printEntries(entries: readonly PlainEntry[]): Promise<void> {
  const rows = entries.map(entry => {
    const value = entry.value === null ? '' : shownBytes(entry.value)
    return [shownBytes(entry.key), value, entry.modRevision, entry.createRevision, entry.version]
  })
  await printTable(['key', 'value', 'revision', 'created', 'version'], rows)
}

/** `{ previous }` as part of an answer in JSON: the entry, or null where there was none. */
export function jsonOfPrevious(previous: unknown): object | null {
  return isEntry(previous) ? jsonOfEntry(previous) : null
}

const shownCharactersMax = 72

/** Bytes for a table: text without anything that would move the cursor, shortened; or what they are, where not text. */
export function shownBytes(content: string | Uint8Array): string {
  const text = typeof content === 'string' ? content : textOfBytes(content)
  if (text === null) return `(${content.length} bytes)`
  const plain = shown(text)
  return plain.length <= shownCharactersMax
    ? plain
    : `${plain.slice(0, shownCharactersMax)}... (${content.length} bytes)`
}

/** Text from elsewhere for a terminal: control characters become visible escapes and do nothing. */
export function shown(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, character => {
    const escaped = JSON.stringify(character).slice(1, -1)
    return escaped === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}` : escaped
  })
}

export function hasColour(): boolean {
  return process.stdout.isTTY && process.env['NO_COLOR'] === undefined
}

type Style = Parameters<typeof styleText>[0]

export function styled(style: Style, text: string): string {
  return hasColour() ? styleText(style, text) : text
}
