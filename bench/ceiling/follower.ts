// The follower of the ceiling: blocks in, one synced write each or for several, the last index on disk back, and the state kept.
import { writeU64 } from '../../lib/base/bytes.ts'
import { realEnv } from '../../lib/client/real-env.ts'
import { readBlock } from '../../lib/record/block.ts'
import type { Link } from '../../lib/transport/net.ts'
import { WsNet } from '../../lib/transport/ws-net.ts'
import { BlockDisk } from './disk.ts'
import { AppliedState } from './state.ts'

export const peerSubprotocol = 'ceiling'
export const peerMessageBytesMax = 16_777_216
/** Of an empty block's place: the leader asks whether this node is there. */
export const roundBytes = 8

/** Serves on a port of its own, and gives its number. */
export async function serveFollower(logFolder: string, stateFolder: string): Promise<number> {
  const env = realEnv()
  const net = new WsNet({ env, messageBytesMax: peerMessageBytesMax, subprotocol: peerSubprotocol })
  let leader: Link | null = null
  const disk = await BlockDisk.open(logFolder, last => leader?.send(numbered(last)))
  const state = await AppliedState.open(stateFolder, env, () => {})
  return await new Promise((resolve, reject) => {
    const accept = (link: Link) => {
      leader = link
      return {
        open() {},
        closed() {},
        message(bytes: Uint8Array) {
          // A round is echoed as it came, one byte longer than an answer about the disk.
          if (bytes.length === roundBytes + 1) return link.send(bytes)
          const block = readBlock(bytes)
          if (block === null) throw new Error('a block that is none')
          disk.append(block)
          state.apply([block])
        }
      }
    }
    net.listen('127.0.0.1:0/peer', accept, (error, { port }) => (error === null ? resolve(port) : reject(error)))
  })
}

function numbered(index: number): Uint8Array {
  const bytes = new Uint8Array(roundBytes)
  writeU64(bytes, 0, index)
  return bytes
}
