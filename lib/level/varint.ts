// Whole numbers as LevelDB writes them in its files: seven bits a byte, the low ones first.

export interface Position {
  at: number
}

/** Null where the bytes end within it, or it is larger than any that LevelDB writes. */
export function readVarint(bytes: Uint8Array, cursor: Position): number | null {
  let value = 0
  for (let weight = 1; weight <= 2 ** 49; weight *= 128) {
    const byte = bytes[cursor.at++]
    if (byte === undefined) return null
    value += (byte & 127) * weight
    if (byte < 128) return value
  }
  return null
}
