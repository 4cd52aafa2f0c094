// `stretto put KEY VALUE`: writes a key.
import type { Command } from 'commander'
import { parseDuration } from '../lib/server/durations.ts'
import { jsonOfBytes } from '../lib/server/json-entry.ts'
import { UsageError } from '../lib/server/usage-error.ts'
import { valueBytesMax } from '../lib/wire/kv/fields.ts'
import { addClientOptions, type ClientOptions, outputOf, parseCount, useClient } from './client-options.ts'
import { jsonOfPrevious, printJson, printLine, printValue, shownBytes } from './print.ts'
import { readInput } from './read-input.ts'

interface PutOptions extends ClientOptions {
  readonly ifRevision?: string
  readonly ifAbsent?: boolean
  readonly prev?: boolean
  readonly notAfter?: string
  readonly ttl?: string
  readonly lease?: string
}

export function put(command: Command): void {
  command
    .argument('<key>')
    .argument('<value>', "the value, or '-' to read it from the standard input")
    .option('--if-revision <n>', 'only if the key was last written at this revision; 0: only if it is absent')
    .option('--if-absent', 'only if the key is absent')
    .option('--prev', 'show the entry that was there before')
    .option('--not-after <duration>', 'do not apply it later than this from now')
    .option('--ttl <duration>', 'the key goes by itself after this, at least 1s')
    .option('--lease <id>', 'the key goes when this lease ends')
  addClientOptions(command)
  command.action(runPut)
}

async function runPut(key: string, value: string, options: PutOptions): Promise<void> {
  const { ifRevision, ifAbsent = false, prev = false, notAfter, ttl, lease } = options
  if (ifRevision !== undefined && ifAbsent) throw new UsageError('--if-revision and --if-absent exclude each other')
  if (ttl !== undefined && lease !== undefined) throw new UsageError('--ttl and --lease exclude each other')
  const conditions = {
    ...(ifRevision === undefined ? {} : { ifRevision: parseCount('--if-revision', ifRevision, 0) }),
    ...(ifAbsent ? { ifAbsent } : {}),
    ...(prev ? { previous: true } : {}),
    ...(notAfter === undefined ? {} : { notAfter: parseDuration(notAfter) }),
    ...(ttl === undefined ? {} : { ttl: parseDuration(ttl) }),
    ...(lease === undefined ? {} : { lease: parseCount('--lease', lease, 1) })
  }
  const content = value === '-' ? await readInput(valueBytesMax) : Buffer.from(value)
  await useClient(options, async db => {
    const result = await db.put(key, content, conditions)
    const output = outputOf(options)
    if (output === 'value') printValue(result.revision)
    else if (output === 'json') {
      const previous = prev ? { previous: jsonOfPrevious(result.previous) } : {}
      const { revision, leaseId } = result
      printJson({ ...jsonOfBytes('key', key), revision, ...(leaseId !== undefined && { leaseId }), ...previous })
    } else {
      const before = prev ? `, before: ${shownPrevious(result.previous)}` : ''
      printLine(`${shownBytes(key)} written at revision ${result.revision}${before}`)
    }
  })
}

function shownPrevious(previous: { readonly value: Uint8Array | null } | null | undefined): string {
  return previous?.value ? shownBytes(previous.value) : 'absent'
}
