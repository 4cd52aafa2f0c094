// The leader of the ceiling: all that a leader does for a request but consensus. It was never elected, has no terms to compare,
// no log to match and nobody to doubt; records, blocks, sessions, state and answers are the product's own.
import { assert } from '../../lib/base/assert.ts'
import { concatBytes, readU32, readU64 } from '../../lib/base/bytes.ts'
import { realEnv } from '../../lib/client/real-env.ts'
import type { Answer } from '../../lib/machine/answer.ts'
import type { Block, ChainedId } from '../../lib/raft/types.ts'
import { blockBytesMax, blockHeaderBytes, cutBlock } from '../../lib/record/block.ts'
import { recordAt } from '../../lib/record/record.ts'
import type { Link } from '../../lib/transport/net.ts'
import { WsNet } from '../../lib/transport/ws-net.ts'
import {
  clientMessageBytesMax,
  clientSubprotocol,
  frameKind,
  framesOf,
  type Question,
  readQuestion,
  readSmall,
  writeAnswered,
  writeApplied,
  writeSmall,
  writeWelcome
} from '../../lib/wire/client.ts'
import { BlockDisk } from './disk.ts'
import { peerMessageBytesMax, peerSubprotocol, roundBytes } from './follower.ts'
import { AppliedState } from './state.ts'

const term = 1
const env = realEnv()

/** Serves on a port of its own, and gives its number. */
export async function serveLeader(
  logFolder: string,
  stateFolder: string,
  followers: readonly string[]
): Promise<number> {
  const leader = new Leader()
  await leader.start(logFolder, stateFolder, followers)
  return await leader.listen()
}

/** A link of a client, and what is to be sent to it at the end of the turn. */
interface Caller {
  readonly link: Link
  outbox: Uint8Array[]
}

interface Placed {
  readonly caller: Caller
  readonly number: number
}

class Leader {
  #disk!: BlockDisk
  #state!: AppliedState
  readonly #peers: Link[] = []
  /** The last record on disk: of this process, then of each follower. */
  readonly #durable: number[] = [0]
  readonly #callers = new Set<Caller>()
  #tail: ChainedId = { term: 0, index: 0, chain: 0 }
  #drafts: Uint8Array[] = []
  #draftsBy: Placed[] = []
  #placed: Placed[] = []
  #blocks: Block[] = []
  #questions: { readonly caller: Caller; readonly question: Question }[] = []
  /** Those that wait for the round under way; null where none is. */
  #asked: { readonly caller: Caller; readonly question: Question }[] | null = null
  #turnAsked = false
  #port = 0

  async start(logFolder: string, stateFolder: string, followers: readonly string[]): Promise<void> {
    this.#disk = await BlockDisk.open(logFolder, last => this.#persisted(0, last))
    this.#state = await AppliedState.open(stateFolder, env, answers => this.#answer(answers))
    const net = new WsNet({ env, messageBytesMax: peerMessageBytesMax, subprotocol: peerSubprotocol })
    await Promise.all(followers.map((at, number) => this.#dial(net, at, number + 1)))
  }

  #dial(net: WsNet, at: string, number: number): Promise<void> {
    this.#durable.push(0)
    return new Promise((resolve, reject) => {
      const link = net.dial(`${at}/peer`, {
        open: () => resolve(),
        closed: ({ reason }) => reject(new Error(reason)),
        message: bytes => {
          if (bytes.length === roundBytes) this.#persisted(number, readU64(bytes, 0))
          else this.#confirmed()
        }
      })
      this.#peers.push(link)
    })
  }

  listen(): Promise<number> {
    const net = new WsNet({ env, messageBytesMax: clientMessageBytesMax, subprotocol: clientSubprotocol })
    const accept = (link: Link) => {
      const caller: Caller = { link, outbox: [] }
      this.#callers.add(caller)
      return {
        open() {},
        closed: () => void this.#callers.delete(caller),
        message: (bytes: Uint8Array) => {
          for (const frame of framesOf(bytes)!) this.#take(caller, frame)
        }
      }
    }
    return new Promise((resolve, reject) => {
      net.listen('127.0.0.1:0/v1', accept, (error, { port }) => {
        if (error !== null) return reject(error)
        this.#port = port
        resolve(port)
      })
    })
  }

  #take(caller: Caller, frame: Uint8Array): void {
    switch (frame[4]) {
      case frameKind.hello:
        caller.outbox.push(this.#welcome())
        break
      case frameKind.ping:
        caller.outbox.push(writeSmall(frameKind.pong, readSmall(frame).number))
        break
      case frameKind.read:
        this.#questions.push({ caller, question: readQuestion(frame) })
        break
      case frameKind.command:
        this.#draftsBy.push({ caller, number: readU32(frame, recordAt.term) })
        this.#drafts.push(frame)
        break
      default:
        throw new Error('a frame of a kind that the ceiling does not serve')
    }
    this.#wake()
  }

  #welcome(): Uint8Array {
    return writeWelcome({
      protocol: 1,
      clusterId: '0'.repeat(32),
      nodeId: 'n1',
      clusterTime: Date.now(),
      leader: 'n1',
      members: [{ id: 'n1', address: `127.0.0.1:${this.#port}` }],
      requestBytesMax: clientMessageBytesMax
    })
  }

  #wake(): void {
    if (this.#turnAsked) return
    this.#turnAsked = true
    env.soon(() => {
      this.#turnAsked = false
      this.#turn()
    })
  }

  #turn(): void {
    while (this.#drafts.length > 0) this.#propose()
    if (this.#asked === null && this.#questions.length > 0) {
      this.#asked = this.#questions
      this.#questions = []
      this.#peers[0]!.send(new Uint8Array(roundBytes + 1))
    }
    this.#apply()
    for (const caller of this.#callers) {
      if (caller.outbox.length === 0) continue
      caller.link.send(caller.outbox.length === 1 ? caller.outbox[0]! : concatBytes(caller.outbox))
      caller.outbox = []
    }
  }

  /** One block of what waits, to the disk and to the followers. */
  #propose(): void {
    let bytes = blockHeaderBytes
    let count = 0
    for (const draft of this.#drafts) {
      if (count > 0 && bytes + draft.length > blockBytesMax) break
      bytes += draft.length
      count++
    }
    const block = cutBlock(0, term, this.#tail, Date.now(), this.#drafts.slice(0, count))
    this.#drafts = this.#drafts.slice(count)
    this.#placed.push(...this.#draftsBy.splice(0, count))
    this.#tail = { term, index: block.first + block.count - 1, chain: block.chain }
    this.#blocks.push(block)
    this.#disk.append(block)
    for (const peer of this.#peers) peer.send(block.bytes)
  }

  #persisted(who: number, last: number): void {
    this.#durable[who] = last
    this.#wake()
  }

  /** What a majority has on disk. */
  get #commit(): number {
    const sorted = this.#durable.toSorted((a, b) => b - a)
    return sorted[Math.floor(sorted.length / 2)]!
  }

  #apply(): void {
    const commit = this.#commit
    let count = 0
    while (count < this.#blocks.length && this.#blocks[count]!.first + this.#blocks[count]!.count - 1 <= commit) count++
    if (count > 0) this.#state.apply(this.#blocks.splice(0, count))
  }

  #answer(answers: readonly Answer[]): void {
    const placed = this.#placed.splice(0, answers.length)
    for (let at = 0; at < answers.length; at++) {
      const { caller, number } = placed[at]!
      const { index, revision, each } = answers[at]!
      caller.outbox.push(writeApplied({ number, term, index, revision, each }))
    }
    this.#wake()
  }

  /** One follower is a majority with this process. */
  #confirmed(): void {
    const asked = this.#asked!
    this.#asked = null
    for (const { caller, question } of asked) {
      const { number, consistency, body } = question
      this.#state.kv.query(body, (error, answer) => {
        assert(error === null, 'what is asked can be answered')
        const served = { number, consistency, term, index: this.#state.index, ageMs: 0 }
        caller.outbox.push(writeAnswered({ ...served, body: answer }))
        this.#wake()
      })
    }
    this.#wake()
  }
}
