// An entry as JSON: text where the bytes are UTF-8, base64 where they are not.

/** An entry of the store as the client gives it with values as bytes. */
export interface PlainEntry {
  readonly key: string | Uint8Array
  /** Null where only keys were asked for. */
  readonly value: Uint8Array | null
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
  readonly leaseId: number
}

/** Tells an entry from anything else that an error may carry. */
export function isEntry(value: unknown): value is PlainEntry {
  return typeof value === 'object' && value !== null && 'modRevision' in value && 'key' in value
}

/** `key` or `keyBase64`, `value` or `valueBase64` (neither where only keys were asked for), and the four numbers. */
export function jsonOfEntry(entry: PlainEntry): Record<string, string | number> {
  const { createRevision, modRevision, version, leaseId } = entry
  const value = entry.value === null ? {} : jsonOfBytes('value', entry.value)
  return { ...jsonOfBytes('key', entry.key), ...value, createRevision, modRevision, version, leaseId }
}

/** `{ name: text }` where the bytes are UTF-8, else `{ nameBase64 }`. */
export function jsonOfBytes(name: string, content: string | Uint8Array): Record<string, string> {
  if (typeof content === 'string') return { [name]: content }
  const text = textOfBytes(content)
  return text === null ? { [`${name}Base64`]: Buffer.from(content).toString('base64') } : { [name]: text }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Null where the bytes are not UTF-8, so that encoding the text again would not give them back. */
export function textOfBytes(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes)
  } catch {
    return null
  }
}
