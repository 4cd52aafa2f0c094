// The first words on a link between nodes: two hellos, then two proofs that both sides know the peer secret.
//
//   dialler                            listener
//     hello  ------------------------>
//            <------------------------   hello      (or a refusal, and the end)
//     proof  ------------------------>
//            <------------------------   proof      (or a refusal, and the end)
//
// A proof is HMAC-SHA256 with the peer secret over a label of its side and both hello frames, each after its length. The
// hellos hold a nonce of each side, so a recorded proof is worth nothing on another link; the label keeps one side from
// handing the other its own proof. Only hello, proof and refusal are decoded before the end of this.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { writeU32 } from '../base/bytes.ts'
import type { Cancel, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { MemberKey } from '../raft/types.ts'
import {
  frameKind,
  greetingFrameBytesMax,
  type Hello,
  nonceBytes,
  type Refusal,
  readHelloVersions,
  readPeerFrame,
  writePeerFrame
} from '../wire/peer.ts'
import { protocolRange, sharedVersion, type VersionRange } from '../wire/version.ts'
import type { Closed, Link, LinkHandler } from './net.ts'

/** What a node says of itself to every other. */
export interface Identity {
  readonly env: Env
  readonly self: MemberKey
  /** 32 hexadecimal digits; empty while the cluster is being founded. */
  readonly clusterId: string
  readonly boot: number
  readonly machine: VersionRange
  /** Absent: a hello without one, which stands for the default. */
  readonly priority?: number
  /** Empty where the operator has set none. */
  readonly secret: Uint8Array
  /** Tests speak other versions. */
  readonly protocol?: VersionRange
}

export interface HandshakeOutcome {
  /** Whether to go on with who claims to be `hello.from`: null, or why not. Nothing is proven yet. */
  admit(hello: Hello): Refusal | null
  /** Whether to take a link that has proven itself: null, or why not. */
  judge(hello: Hello): Refusal | null
  /** Both sides have proven themselves; what follows on the link goes to the handler returned. */
  proven(link: Link, hello: Hello): LinkHandler
  /** It came to nothing; `refusal` by this side or the other, null where the link just ended. */
  failed(reason: string, refusal: Refusal | null): void
}

export type Side = 'dialler' | 'listener'

/** A link must have proven itself by then. */
const handshakeMs = 5000

export class Handshake implements LinkHandler {
  readonly #identity: Identity
  readonly #side: Side
  readonly #to: MemberKey | null
  readonly #outcome: HandshakeOutcome
  #link: Link | null = null
  #timer: Cancel | null = null
  #mine: Uint8Array
  #theirs: Uint8Array | null = null
  #hello: Hello | null = null
  #refusal: Refusal | null = null
  #next: LinkHandler | null = null

  /** `to`: whom the dialler means to reach, null when any node will do. */
  constructor(identity: Identity, side: Side, to: MemberKey | null, outcome: HandshakeOutcome) {
    this.#identity = identity
    this.#side = side
    this.#to = to
    this.#outcome = outcome
    this.#mine = new Uint8Array(0)
  }

  /** For the listening side: the link is open already. */
  static accept(identity: Identity, link: Link, outcome: HandshakeOutcome): Handshake {
    const handshake = new Handshake(identity, 'listener', null, outcome)
    handshake.#begin(link)
    return handshake
  }

  open(link: Link): void {
    this.#begin(link)
    this.#sayHello(this.#to)
  }

  message(bytes: Uint8Array): void {
    if (this.#next !== null) return this.#next.message(bytes)
    if (this.#refusal !== null) return
    const refusal = this.#hear(bytes)
    if (refusal === null) return
    this.#refusal = refusal
    this.#link!.send(writePeerFrame({ kind: 'refusal', refusal }))
    this.#link!.close()
  }

  closed(by: Closed): void {
    this.#timer?.()
    if (this.#next !== null) return this.#next.closed(by)
    this.#outcome.failed(by.reason, this.#refusal)
  }

  #begin(link: Link): void {
    this.#link = link
    this.#timer = this.#identity.env.after(handshakeMs, () => link.close())
  }

  /** What is to be refused, or null to go on. */
  #hear(bytes: Uint8Array): Refusal | null {
    try {
      if (bytes.length > greetingFrameBytesMax) return badFrame('a greeting above the limit')
      const kind = bytes[0]
      if (kind === frameKind.refusal) return this.#heardRefusal(bytes)
      if (kind === frameKind.hello && this.#theirs === null) return this.#heardHello(bytes)
      if (kind === frameKind.proof && this.#theirs !== null) return this.#heardProof(bytes)
    } catch (error) {
      if (error instanceof StrettoError) return badFrame(error.message)
      throw error
    }
    return badFrame('a frame before its time')
  }

  #heardRefusal(bytes: Uint8Array): null {
    const frame = readPeerFrame(bytes)
    if (frame.kind === 'refusal') this.#refusal = frame.refusal
    this.#link!.close()
    return null
  }

  #heardHello(bytes: Uint8Array): Refusal | null {
    const versions = readHelloVersions(bytes)
    const mine = this.#identity.protocol ?? protocolRange
    if (sharedVersion(mine, versions) === null) return unknownVersion(mine, versions)
    const frame = readPeerFrame(bytes)
    if (frame.kind !== 'hello') return badFrame('no hello')
    const { hello } = frame
    if (hello.to !== null && hello.to !== this.#identity.self) return otherMember(this.#identity.self, hello.to)
    if (this.#to !== null && hello.from !== this.#to) return otherMember(hello.from, this.#to)
    const refusal = this.#outcome.admit(hello)
    if (refusal !== null) return refusal
    this.#theirs = new Uint8Array(bytes)
    this.#hello = hello
    if (this.#side === 'listener') this.#sayHello(hello.from)
    else this.#sayProof()
    return null
  }

  #heardProof(bytes: Uint8Array): Refusal | null {
    const frame = readPeerFrame(bytes)
    const expected = this.#proofOf(this.#side === 'dialler' ? 'listener' : 'dialler')
    if (frame.kind !== 'proof' || !timingSafeEqual(frame.proof, expected)) {
      return { code: 'wrong-secret', text: 'the peer secrets of the two nodes differ' }
    }
    const refusal = this.#outcome.judge(this.#hello!)
    if (refusal !== null) return refusal
    if (this.#side === 'listener') this.#sayProof()
    this.#timer?.()
    this.#next = this.#outcome.proven(this.#link!, this.#hello!)
    return null
  }

  #sayHello(to: MemberKey | null): void {
    const { env, self, clusterId, boot, machine, protocol = protocolRange, priority } = this.#identity
    const said = { protocol, clusterId, from: self, to, boot, machine, nonce: nonce(env) }
    const hello = priority === undefined ? said : { ...said, priority }
    this.#mine = writePeerFrame({ kind: 'hello', hello })
    this.#link!.send(this.#mine)
  }

  #sayProof(): void {
    this.#link!.send(writePeerFrame({ kind: 'proof', proof: this.#proofOf(this.#side) }))
  }

  #proofOf(side: Side): Uint8Array {
    const [first, second] = this.#side === 'dialler' ? [this.#mine, this.#theirs!] : [this.#theirs!, this.#mine]
    const length = new Uint8Array(4)
    writeU32(length, 0, first.length)
    const hmac = createHmac('sha256', this.#identity.secret)
    return hmac.update(`stretto peer ${side}\n`).update(length).update(first).update(second).digest()
  }
}

function nonce(env: Env): Uint8Array {
  const bytes = new Uint8Array(nonceBytes)
  for (let at = 0; at < nonceBytes; at += 4) writeU32(bytes, at, env.random(0x1_0000_0000))
  return bytes
}

function badFrame(text: string): Refusal {
  return { code: 'bad-frame', text }
}

function otherMember(is: MemberKey, meant: MemberKey): Refusal {
  return { code: 'other-member', text: `this address is that of ${is}, not of ${meant}` }
}

function unknownVersion(mine: VersionRange, theirs: VersionRange): Refusal {
  const text = `protocol versions ${mine.join(' to ')} are spoken here, not ${theirs.join(' to ')}`
  return { code: 'unknown-version', text }
}
