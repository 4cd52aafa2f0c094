// Orders that the leader itself writes into the log beside commands: a new machine version, and settings for all nodes.
import { assert } from '../base/assert.ts'
import { readU32, writeU32 } from '../base/bytes.ts'
import { draftRecord, recordHeaderBytes, recordKind } from '../record/record.ts'
import { settingNamePattern } from './sidecar.ts'

/** The draft of a record from which on the machine runs as `version`. Body: u32 version. */
export function draftVersion(version: number): Uint8Array {
  const body = new Uint8Array(4)
  writeU32(body, 0, version)
  return draftRecord(recordKind.version, body)
}

/** The version that the record of `length` bytes at `at` asks for. */
export function readVersion(bytes: Uint8Array, at: number, length: number): number {
  assert(length === recordHeaderBytes + 4, 'a version record holds a number')
  return readU32(bytes, at + recordHeaderBytes)
}

/** The draft of a record that sets `name` for all nodes; an empty value unsets it. Body: u8 length of the name, name, value. */
export function draftSetting(name: string, value: Uint8Array): Uint8Array {
  assert(settingNamePattern.test(name), 'a setting has a well-formed name')
  const body = new Uint8Array(1 + name.length + value.length)
  body[0] = name.length
  for (let at = 0; at < name.length; at++) body[1 + at] = name.charCodeAt(at)
  body.set(value, 1 + name.length)
  return draftRecord(recordKind.setting, body)
}

/** Name and value of the setting record of `length` bytes at `at`; the value is a copy. */
export function readSetting(
  bytes: Uint8Array,
  at: number,
  length: number
): { readonly name: string; readonly value: Uint8Array } {
  const start = at + recordHeaderBytes + 1
  const nameLength = length > recordHeaderBytes ? bytes[start - 1]! : 0
  let name = ''
  for (let offset = 0; offset < nameLength; offset++) name += String.fromCharCode(bytes[start + offset]!)
  assert(start + nameLength <= at + length && settingNamePattern.test(name), 'a setting record holds a name')
  return { name, value: new Uint8Array(bytes.subarray(start + nameLength, at + length)) }
}
