// The two slots of a data directory as they stand: both are read, neither is made or changed.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readMemory, slotBytesMax } from '../log/memory.ts'
import type { Memory } from '../log/slots.ts'

export interface SlotsSurvey {
  /** What the node would believe; null where it never knew anything, or cannot read what it knew. */
  readonly memory: Memory | null
  readonly findings: readonly string[]
  /** What it promised is lost: it may return only as a new member. */
  readonly amnesia: boolean
  /** A later version has written it: that is no damage. */
  readonly newer: boolean
}

const slotStarts = [0, 4096] as const

export async function surveySlots(directory: string): Promise<SlotsSurvey> {
  const file = await readFile(join(directory, 'memory')).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (file === null) return { memory: null, findings: ['the file memory is missing'], amnesia: true, newer: false }
  const findings: string[] = []
  const slots = slotStarts.map((start, number) => {
    const bytes = new Uint8Array(file.subarray(start, start + slotBytesMax))
    if (bytes.every(byte => byte === 0)) return null
    const content = readMemory(bytes)
    if (content === null) findings.push(`slot ${number + 1} of the memory is damaged`)
    if (content === 'newer') findings.push(`slot ${number + 1} of the memory was written by a newer version of stretto`)
    return content
  })
  const newer = slots.includes('newer')
  const read = slots.filter(slot => slot !== null && slot !== 'newer').toSorted((a, b) => b.sequence - a.sequence)
  const memory = newer ? null : (read[0]?.memory ?? null)
  const amnesia = memory === null && !newer && findings.length > 0
  if (amnesia) findings.push('no slot can be read: this node has forgotten what it promised')
  return { memory, findings, amnesia, newer }
}
