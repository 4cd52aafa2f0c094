// Which node is spoken to: the leader where it can be reached, else any; and a second, warm link to move to at once.
import type { Cancel } from '../base/env.ts'
import { Connection, type ConnectionOwner, type ConnectionParts } from './connection.ts'
import { backOffMsMax, backOffMsMin, type Endpoint, type Endpoints } from './endpoints.ts'

/** A dial without a welcome after this long gets company: the next endpoint is tried beside it. */
const hedgeMs = 150
const dialsMax = 3
/** A link that lived this long before it ended was a good one. */
const soundMs = 1000
const never = Number.POSITIVE_INFINITY

export interface LinksOwner {
  /** The path of requests may have changed, or its node has told news. */
  moved(): void
  /** What was sent over this connection will not be answered any more. */
  lost(connection: Connection): void
}

export class Links implements ConnectionOwner {
  readonly #parts: ConnectionParts
  readonly #endpoints: Endpoints
  readonly #owner: LinksOwner
  readonly #dials = new Set<Connection>()
  #active: Connection | null = null
  #warm: Connection | null = null
  #leader: string | null = null
  #clusterId: string | null = null
  #started = false
  #closed = false
  #timer: Cancel | null = null
  #timerAt = never
  #lastFailure: string | null = null

  constructor(parts: ConnectionParts, endpoints: Endpoints, owner: LinksOwner) {
    this.#parts = parts
    this.#endpoints = endpoints
    this.#owner = owner
  }

  /** The ready connection that requests take now. */
  get active(): Connection | null {
    return this.#active
  }

  /** The cluster that this client speaks to, once it has met a node of it. */
  get clusterId(): string | null {
    return this.#clusterId
  }

  /** Why there is no connection, as far as known: the end of a sentence. */
  get lastFailure(): string {
    return this.#lastFailure ?? 'no node has answered yet'
  }

  start(): void {
    if (this.#started) return
    this.#started = true
    this.#pursue()
  }

  flush(): void {
    this.#active?.flush()
    this.#warm?.flush()
  }

  close(): void {
    this.#closed = true
    this.#timer?.()
    const all = [...this.#dials, this.#active, this.#warm]
    for (const connection of all) connection?.close('the client was closed')
  }

  /**
   * The node refuses again and again: move to the other one, if there is one. Where neither knows of a leader both may be cut
   * off from the rest, and a third may not be: the one complained of makes room for it.
   */
  complain(connection: Connection): void {
    if (connection !== this.#active || this.#warm === null) return
    this.#active = this.#warm
    this.#warm = connection
    this.#leader = null
    const leaderless = [this.#active, connection].every(({ welcome }) => welcome?.leader === null)
    if (leaderless && this.#endpoints.all.some(each => !each.inUse && !this.#isReached(each))) {
      connection.close('it knows of no leader')
    }
    this.#owner.moved()
  }

  welcomed(connection: Connection, first: boolean): void {
    const welcome = connection.welcome!
    if (welcome.clusterId === '') {
      connection.close('it belongs to no cluster yet, or does not serve at present')
      return
    }
    this.#clusterId ??= welcome.clusterId
    if (welcome.clusterId !== this.#clusterId) {
      connection.close(`it belongs to another cluster, ${welcome.clusterId}`)
      return
    }
    this.#endpoints.learn(welcome, connection.endpoint)
    if (first && !this.#admit(connection)) return
    this.#hearOfLeader(connection, first)
    this.#prefer()
    this.#owner.moved()
    this.#pursue()
  }

  closed(connection: Connection, reason: string): void {
    const { endpoint } = connection
    endpoint.inUse = false
    this.#dials.delete(connection)
    if (this.#closed) return
    this.#punish(connection, reason)
    if (connection === this.#warm) this.#warm = null
    if (connection === this.#active) this.#replaceActive(connection)
    this.#owner.lost(connection)
    this.#owner.moved()
    this.#pursue()
  }

  #replaceActive(lost: Connection): void {
    this.#active = this.#warm
    this.#warm = null
    // What the other node says of its leader may be older than this end.
    this.#leader = this.#active?.welcome?.leader ?? null
    if (this.#leader === lost.nodeId) this.#leader = null
  }

  /** A new ready connection finds its place; false where there is none for it. */
  #admit(connection: Connection): boolean {
    this.#dials.delete(connection)
    const { nodeId } = connection
    const isKnown = this.#active?.nodeId === nodeId || this.#warm?.nodeId === nodeId
    if (this.#active === null) this.#active = connection
    else if (!isKnown && this.#warm === null) this.#warm = connection
    else if (!isKnown && nodeId === connection.welcome!.leader) {
      this.#warm!.close('another link is of more use')
      this.#warm = connection
    } else {
      connection.close('there are enough links')
      return false
    }
    return true
  }

  /** The first words of a second node may be old: they count only where nobody else knows better. */
  #hearOfLeader(connection: Connection, first: boolean): void {
    const { leader } = connection.welcome!
    if (connection === this.#active) this.#leader = leader
    else if (leader !== null && (!first || this.#leader === null)) this.#leader = leader
  }

  /** Requests go to the leader once the link to it is ready. */
  #prefer(): void {
    if (this.#leader === null || this.#warm?.nodeId !== this.#leader) return
    const former = this.#active
    this.#active = this.#warm
    this.#warm = former
  }

  #punish(connection: Connection, reason: string): void {
    const { endpoint, readyAt, welcome } = connection
    const now = this.#parts.env.now()
    const wasSound = welcome !== null && now - readyAt >= soundMs
    endpoint.failures = wasSound ? 1 : endpoint.failures + 1
    const delay = Math.min(backOffMsMax, backOffMsMin * 2 ** Math.min(endpoint.failures - 1, 10))
    endpoint.notBefore = now + delay / 2 + this.#parts.env.random(Math.ceil(delay / 2))
    this.#lastFailure = `${endpoint.text}: ${reason}`
    this.#endpoints.renew()
  }

  /** Dials what is wanted and may be dialled now, and sleeps until more may be. */
  #pursue(): void {
    if (!this.#started || this.#closed) return
    const now = this.#parts.env.now()
    let wakeAt = never
    if (this.#active === null) wakeAt = this.#pursueAny(now)
    else {
      const leader = this.#leader === null ? undefined : this.#endpoints.ofNode(this.#leader)
      if (leader !== undefined && leader.nodeId !== this.#active.nodeId) wakeAt = this.#pursueOne(leader, now)
      if (this.#warm === null && this.#dials.size === 0) wakeAt = Math.min(wakeAt, this.#pursueNext(now))
    }
    this.#wakeAt(wakeAt, now)
  }

  /** Returns when to look again. */
  #pursueAny(now: number): number {
    let newest = Number.NEGATIVE_INFINITY
    for (const dial of this.#dials) newest = Math.max(newest, dial.dialledAt)
    if (this.#dials.size > 0 && now < newest + hedgeMs) return newest + hedgeMs
    if (this.#dials.size >= dialsMax) return never
    const at = this.#pursueNext(now)
    return this.#dials.size > 0 ? Math.min(at, now + hedgeMs) : at
  }

  #pursueOne(endpoint: Endpoint, now: number): number {
    if (endpoint.inUse) return never
    if (endpoint.notBefore > now) return endpoint.notBefore
    this.#dial(endpoint)
    return never
  }

  /** Dials the endpoint with the fewest failures that leads to no node spoken to already; of equals, any. */
  #pursueNext(now: number): number {
    let best: Endpoint | null = null
    let equals = 0
    let wakeAt = never
    for (const endpoint of this.#endpoints.all) {
      if (endpoint.inUse || this.#isReached(endpoint)) continue
      if (endpoint.notBefore > now) {
        wakeAt = Math.min(wakeAt, endpoint.notBefore)
        continue
      }
      if (best === null || endpoint.failures < best.failures) {
        best = endpoint
        equals = 1
      } else if (endpoint.failures === best.failures && this.#parts.env.random(++equals) === 0) {
        best = endpoint
      }
    }
    if (best === null) return wakeAt
    this.#dial(best)
    return never
  }

  /** Another place of a node that has a link already, or is being dialled. */
  #isReached({ nodeId }: Endpoint): boolean {
    if (nodeId === null) return false
    return this.#endpoints.all.some(endpoint => endpoint.inUse && endpoint.nodeId === nodeId)
  }

  #dial(endpoint: Endpoint): void {
    endpoint.inUse = true
    this.#dials.add(new Connection(this.#parts, endpoint, this))
  }

  #wakeAt(at: number, now: number): void {
    if (at === this.#timerAt) return
    this.#timer?.()
    this.#timer = null
    this.#timerAt = at
    if (at === never) return
    this.#timer = this.#parts.env.after(Math.max(1, at - now), () => {
      this.#timer = null
      this.#timerAt = never
      this.#pursue()
    })
  }
}
