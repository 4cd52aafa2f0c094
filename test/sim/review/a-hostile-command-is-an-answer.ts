// Bytes that a machine cannot execute are an answer, the same on all nodes: thrown at, each node would stop, at each start again.

import { writeU16, writeU32, writeU64 } from '../../../lib/base/bytes.ts'
import { Random } from '../../../lib/base/random.ts'
import { cutBlock } from '../../../lib/record/block.ts'
import { commandAt, recordAt, recordKind } from '../../../lib/record/record.ts'
import { keyValueMachines } from '../../../lib/sim/ghost/machines.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import type { SimNode } from '../../../lib/sim/node/sim-node.ts'
import { flushed } from '../../help/flushed.ts'
import { incrementsOf } from '../../help/increments.ts'
import { Scene } from '../../help/scene.ts'

/**
 * A leader that checks nothing puts records with all kinds of nonsense into the log. All nodes apply them, go on, and do so
 * again when they are started anew, from the log or from a state that has seen it. A leader that checks refuses what can be seen to be wrong.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 241, nodes: 3, machine: keyValueMachines })
  const random = new Random(241)
  for (let round = 0; round < 4; round++) {
    const leader = await scene.elect()
    await scene.write(leader, incrementsOf(['a'], 1 + round))
    await scene.level()
    putUnchecked(leader, nonsense(random))
    await scene.until('IX1', 'all have applied it', () => isLevel(scene) || scene.cluster.nodes.some(hasFailed))
    hold(!scene.cluster.nodes.some(hasFailed), 'IX1', () => `a command has stopped a node: ${scene.lines.join('; ')}`)
    for (const draft of nonsense(random)) {
      const result = await scene.write(leader, draft)
      hold(result.kind !== 'refused' || result.fate === 'not-applied', 'IO1', () => 'a refusal with another fate')
    }
    const write = (): Promise<unknown> => scene.write(leader, incrementsOf(['a'], 100 + round))
    await (round % 2 === 0 ? write() : flushed(scene, write))
    await scene.level()
    for (const node of scene.cluster.nodes) node.crash('killed')
    for (const node of scene.cluster.nodes) node.start()
  }
  await scene.elect()
  await scene.level()
  hold(!scene.cluster.nodes.some(hasFailed), 'IX1', () => `a command has stopped a node: ${scene.lines.join('; ')}`)
}

function hasFailed(node: SimNode): boolean {
  return node.faults > 0
}

function isLevel(scene: Scene): boolean {
  const { nodes } = scene.cluster
  const last = nodes[0]!.node?.raft.status.last.index
  return nodes.every(({ node }) => node !== null && node.applied === last && node.raft.status.last.index === last)
}

/** As a leader would that has no check: in one block, with stamps of its own. */
function putUnchecked(leader: SimNode, drafts: readonly Uint8Array[]): void {
  const { raft, clusterTime } = leader.node!
  const block = cutBlock(0, raft.status.term, leader.log!.tail, clusterTime, drafts)
  raft.step({ kind: 'propose', block }, leader.env!.now())
  // Any question begins a turn.
  leader.node!.read({ point: 'linearizable', leastIndex: 0, patienceMs: 0, enough: null }, () => {})
}

/** Sound records, as far as their length goes, and everything else in them as it comes. */
function nonsense(random: Random): Uint8Array[] {
  const noise = (length: number): Uint8Array => Uint8Array.from({ length }, () => random.below(256))
  const drafts: Uint8Array[] = []
  const change = (alter: (draft: Uint8Array) => void): void => {
    const draft = incrementsOf(['a', 'b'], 200 + random.below(50))
    alter(draft)
    drafts.push(draft)
  }
  const commands = commandAt.commands
  for (const token of [0xc1, 0x80, 0xdf, 0xc7, 0xd4, 0xdd, 0x9f, 0xc0]) change(draft => void (draft[commands] = token))
  for (let count = 0; count < 20; count++) change(draft => draft.set(noise(draft.length - commands), commands))
  for (const count of [0, 1, 3, 65_535]) change(draft => writeU16(draft, commandAt.count, count))
  for (const at of [commandAt.session, commandAt.serial, commandAt.floor, commandAt.notAfter]) {
    for (const value of [0, 2 ** 52, Number.MAX_SAFE_INTEGER]) change(draft => writeU64(draft, at, value))
    change(draft => draft.fill(0xff, at, at + 8))
  }
  change(draft => void (draft[recordAt.kind] = recordKind.resolve))
  change(draft => void (draft[recordAt.flags] = 0xff))
  for (let length = 32; length < commands; length += 9) {
    const short = new Uint8Array(length)
    writeU32(short, recordAt.length, length)
    short[recordAt.kind] = recordKind.command
    drafts.push(short)
  }
  return drafts
}
