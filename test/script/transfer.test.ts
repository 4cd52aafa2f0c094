// Golden conversations of a leader and a follower to which it brings a snapshot, pieces and all; UPDATE=1 writes them anew.
import { readFileSync, writeFileSync } from 'node:fs'
import { t } from 'tap'
import { readU64 } from '../../lib/base/bytes.ts'
import { describeEnvelope, describeLogId } from '../../lib/raft/describe.ts'
import type { SimNode } from '../../lib/sim/node/sim-node.ts'
import type { Transport } from '../../lib/transport/transport.ts'
import { Scene } from '../help/scene.ts'

/** A leader, and one of two others who has been away for so long that it needs the state. */
class Transfer {
  readonly lines: string[] = []
  readonly scene = new Scene({ seed: 61, nodes: 3, delayMsMin: 1, delayMsMax: 1, syncMsMin: 0.2, syncMsMax: 0.2 })
  leader!: SimNode
  absent!: SimNode
  #isHeard = false

  async begin(): Promise<void> {
    const { scene } = this
    const { network } = scene.cluster
    const make = network.transport.bind(network)
    network.transport = (self, ...rest) => this.#overheard(self, make(self, ...rest))
    for (const node of scene.cluster.nodes) {
      node.crash('killed')
      node.start()
    }
    this.leader = await scene.elect()
    this.absent = await scene.leaveBehind(this.leader, 60, 1_048_576)
    scene.onSent = envelope => {
      const { kind } = envelope.message
      if (kind === 'snapshot' || kind === 'snapshot-reply') this.say(describeEnvelope(envelope))
    }
    this.#isHeard = true
    this.say('# the follower is started again')
    this.absent.start()
  }

  say(line: string): void {
    if (!this.#isHeard) return
    this.lines.push(line.replaceAll(this.leader.id, 'leader').replaceAll(this.absent.id, 'follower'))
  }

  async end(): Promise<void> {
    const { scene, absent } = this
    await scene.until('IL3', 'the snapshot is taken up', () => absent.snapshots === 1)
    this.say('# the state is in its place')
    await scene.level()
    await scene.pass(200)
  }

  #overheard(self: string, transport: Transport): Transport {
    return {
      ...transport,
      sendChunk: (to, piece, done) => {
        if (!this.#isHeard) return transport.sendChunk(to, piece, done)
        const pair = `${nameOf(self)} -> ${nameOf(to)}`
        this.say(`${pair} piece of ${describeLogId(piece.last)} at ${piece.offset}: ${piece.bytes.length} B`)
        transport.sendChunk(to, piece, (error, answer) => {
          const told = error === null ? `wants ${readU64(answer, 0)}` : error.message
          this.say(`${nameOf(to)} -> ${nameOf(self)} ${told}`)
          done(error, answer)
        })
      }
    }
  }
}

function nameOf(key: string): string {
  return key.slice(0, key.indexOf('.'))
}

const conversations: Readonly<Record<string, (transfer: Transfer) => Promise<void>>> = {
  'a-state-travels-in-pieces': async () => {},
  'a-broken-transfer-goes-on-where-it-was': async ({ scene, leader, absent, ...transfer }) => {
    const answered = (): boolean => transfer.lines.filter(line => line.includes(' wants ')).length >= 1
    await scene.until('IX1', 'a piece has arrived', answered)
    transfer.lines.push('# nothing passes between the two any more')
    const lift = scene.part([leader], [absent])
    await scene.pass(150)
    transfer.lines.push('# the link is mended')
    lift()
  },
  'a-receiver-that-starts-again-begins-at-0': async ({ scene, absent, ...transfer }) => {
    const answered = (): boolean => transfer.lines.filter(line => line.includes(' wants ')).length >= 1
    await scene.until('IX1', 'a piece has arrived', answered)
    transfer.lines.push('# the follower is killed, and started again')
    absent.crash('killed')
    absent.start()
  }
}

for (const [name, conversation] of Object.entries(conversations)) {
  t.test(name.replaceAll('-', ' '), async t => {
    const transfer = new Transfer()
    await transfer.begin()
    await conversation(transfer)
    await transfer.end()
    const file = new URL(`transfers/${name}.txt`, import.meta.url)
    const told = `${transfer.lines.join('\n')}\n`
    if (process.env['UPDATE'] === '1') writeFileSync(file, told)
    else t.equal(told, readFileSync(file, 'utf8'))
  })
}
