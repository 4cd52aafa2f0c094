// Data directories for the offline tools: made by a real node over several starts, then left alone.
import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { pino } from 'pino'
import type { Test } from 'tap'
import { freePorts } from '../../bin/local-cluster.ts'
import { type Client, connect } from '../../lib/client/client.ts'
import { keyValueMachine } from '../../lib/server/key-value.ts'
import { readServerOptions, type ServerOptions } from '../../lib/server/options.ts'
import { NodeServer } from '../../lib/server/server.ts'
import { eventually } from './real-time.ts'

export function folderOf(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'stretto-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A copy that a test may spoil. */
export function copyOf(t: Test, directory: string): string {
  const copy = join(folderOf(t), 'copy')
  cpSync(directory, copy, { recursive: true })
  return copy
}

export async function optionsFor(dataDir: string, id = 'n1'): Promise<ServerOptions> {
  const [port] = await freePorts(1)
  const address = `127.0.0.1:${port}`
  const flags = { id, listen: address, 'data-dir': dataDir, cluster: `${id}=${address}` }
  return readServerOptions({ flags, env: {}, directory: '/' })
}

const quiet = pino({ level: 'silent' })

/** One start of a node alone in its cluster: `work`, until all of it is in the state on disk, and a clean end. */
export async function live(
  options: ServerOptions,
  work: (client: Client<string>, server: NodeServer) => Promise<unknown>
): Promise<void> {
  const server = new NodeServer(options, quiet, folder => keyValueMachine(folder, options))
  await server.start()
  const client = connect([options.advertise], { timeout: '20s' })
  try {
    if (!(await eventually(() => server.readiness().ready))) throw new Error(server.readiness().reasons.join('; '))
    await work(client, server)
    if (!(await eventually(() => server.life!.machine.unflushedBytes === 0)))
      throw new Error('the state is not flushed')
  } finally {
    await client.close()
    await server.stop()
  }
}

/** A node that lived a few times: what it wrote is in tables and in log files of both databases. */
export async function filledDirectory(directory: string, starts = 3): Promise<ServerOptions> {
  const options = await optionsFor(directory)
  for (let start = 0; start < starts; start++) {
    await live(options, async client => {
      for (let round = 0; round < 10; round++) {
        const keys = Array.from({ length: 20 }, (_, number) => (start * 50 + round * 20 + number) % 300)
        await Promise.all(keys.map(key => client.put(`key/${key}`, `value ${start} ${'x'.repeat(200)}`)))
      }
    })
  }
  return options
}

/** Every file below a folder: its size, when it was changed, and a hash of its bytes. */
export function pictureOf(directory: string): Record<string, string> {
  const picture: Record<string, string> = {}
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const { size, mtimeMs } = statSync(path)
    const hash = entry.isFile() ? createHash('sha256').update(readFileSync(path)).digest('hex') : ''
    picture[relative(directory, path)] = `${entry.isFile() ? size : 'folder'} ${mtimeMs} ${hash}`
  }
  return picture
}
