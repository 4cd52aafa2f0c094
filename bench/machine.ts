// The machine under the benchmark: what it is, how fast its disk promises, and how much CPU its processes have used.
import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Machine } from './report.ts'

const syncsCount = 50
const clockTicksPerSecond = 100

export function describeMachine(directory: string): Machine {
  return {
    cpus: availableParallelism(),
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    fsyncMs: measureSync(directory)
  }
}

function measureSync(directory: string): number {
  const file = join(directory, 'sync-probe')
  const descriptor = openSync(file, 'w', 0o600)
  const page = new Uint8Array(4_096).fill(1)
  const times: number[] = []
  for (let count = 0; count < syncsCount; count++) {
    const begun = performance.now()
    writeSync(descriptor, page)
    fdatasyncSync(descriptor)
    times.push(performance.now() - begun)
  }
  closeSync(descriptor)
  rmSync(file)
  times.sort((a, b) => a - b)
  return Number(times[Math.floor(syncsCount / 2)]!.toFixed(3))
}

/** Microseconds of CPU that these processes have used together; null where the system does not tell. */
export function cpuUsOf(pids: readonly number[]): number | null {
  try {
    return pids.reduce((sum, pid) => sum + cpuUsOfOne(pid), 0)
  } catch {
    return null
  }
}

function cpuUsOfOne(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The second field is a name in parentheses and may hold spaces; user and system time are the 12th and 13th after it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / clockTicksPerSecond
}
