// Writes the sound part of a log into a new database; and gets at a log whose database LevelDB itself cannot open.
import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { writeBase } from '../log/base-record.ts'
import { corrupt } from '../log/faults.ts'
import { baseKey, blockKey, type Card } from '../log/keys.ts'
import { classicLevel, type Level, type LevelOperation, synced } from '../log/level.ts'
import { readBlockOf } from '../log/recovery.ts'
import type { Memory } from '../log/slots.ts'
import type { Block } from '../raft/types.ts'
import { type LogSurvey, readLog } from './log-survey.ts'
import { mirrorLevel, type Scratch } from './scratch.ts'

const pageBytesMax = 4_194_304

/**
 * Calls `take` with the blocks of the surveyed log above its base, in order, some at a time; each is read and checked.
 * @throws StrettoError CORRUPT
 */
export async function eachPage(log: LogSurvey, take: (blocks: readonly Block[]) => Promise<void>): Promise<void> {
  const { catalogue } = log.recovered!
  const level = classicLevel(log.copy)
  await level.open()
  try {
    let row = catalogue.head
    while (row < catalogue.end) {
      const cards: Card[] = []
      let bytes = 0
      for (; row < catalogue.end && (cards.length === 0 || bytes < pageBytesMax); row++) {
        bytes += catalogue.lengthOf(row)
        cards.push(catalogue.card(row))
      }
      await take(await readCards(level, cards, catalogue.beforeOf(row - cards.length).chain))
    }
  } finally {
    await level.close()
  }
}

async function readCards(level: Level, cards: readonly Card[], before: number): Promise<Block[]> {
  const values = await level.getMany(cards.map(blockKey))
  let chain = before
  return cards.map((card, number) => {
    const value = values[number]
    const block = value === undefined ? null : readBlockOf(card, chain, value)
    if (block === null) throw corrupt(`the block that begins at ${card.first} cannot be read again`)
    chain = block.chain
    return block
  })
}

/** Makes a database in `folder`, which is empty, of the base and the sound blocks of the log; durable when it is done. */
export async function rewriteLog(log: LogSurvey, folder: string): Promise<void> {
  const level = classicLevel(folder)
  await level.open()
  try {
    await level.batch([{ type: 'put', key: baseKey(), value: writeBase(log.base!) }], synced)
    await eachPage(log, async blocks => {
      const catalogue = log.recovered!.catalogue
      const puts = blocks.map((block): LevelOperation => {
        const key = blockKey(catalogue.card(catalogue.rowOf(block.first)))
        return { type: 'put', key, value: block.bytes }
      })
      await level.batch(puts, synced)
    })
  } finally {
    await level.close()
  }
}

/**
 * Reads what can be read of a log of which LevelDB has lost its own papers: tables that lead nowhere are left out, log
 * files end before their damage, and LevelDB writes new papers for the rest. What comes out is verified like any log, so
 * it does not matter what of the old comes back that way.
 */
export async function rescueLog(
  directory: string,
  { files }: LogSurvey,
  memory: Memory,
  scratch: Scratch
): Promise<LogSurvey> {
  const from = join(directory, 'log')
  const copy = join(scratch.folder, 'rescued')
  const lost = files.faults.filter(({ kind, file }) => kind === 'structure' && !file.startsWith('MANIFEST'))
  await mirrorLevel(from, copy, new Set([...files.unused, ...lost.map(({ file }) => file)]))
  for (const { file, soundBytes } of files.faults) {
    if (file.endsWith('.log') && soundBytes !== undefined) await truncate(join(copy, file), soundBytes)
  }
  await ClassicLevel.repair(copy)
  return { ...(await readLog(copy, memory)), files }
}
