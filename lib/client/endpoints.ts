// Where nodes can be dialled: what the caller gave and what the cluster says of its members, with a back-off for each.
import { StrettoError } from '../base/errors.ts'
import type { Welcome } from '../wire/client.ts'

export const backOffMsMin = 10
export const backOffMsMax = 1000

const shape = /^(?:(wss?):\/\/)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})(\/[\x21-\x7e]*)?$/
const loopback = /^(?:localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/i

/** One place to dial. */
export interface Endpoint {
  /** For people: host:port. */
  readonly text: string
  /** For `Net.dial`. */
  readonly address: string
  readonly scheme: 'ws' | 'wss'
  /** Given by the caller; the others come and go with the membership. */
  readonly given: boolean
  /** The node that lives there, once known. */
  nodeId: string | null
  failures: number
  /** Not dialled before, in milliseconds of the Env's clock. */
  notBefore: number
  /** There is a link to it, or one is being made. */
  inUse: boolean
}

/**
 * Reads `host:port`, `ws://host:port` or `wss://host:port`. Without a scheme it is `scheme`, or else ws on loopback and
 * wss elsewhere.
 * @throws StrettoError BAD_REQUEST
 */
export function parseEndpoint(text: string, given = true, scheme?: 'ws' | 'wss'): Endpoint {
  const match = typeof text === 'string' ? shape.exec(text.trim()) : null
  const port = Number(match?.[3])
  if (match === null || port === 0 || port > 65_535) {
    throw new StrettoError(
      'BAD_REQUEST',
      `'${text}' is no endpoint: write host:port, such as 127.0.0.1:7001, or wss://host:port`
    )
  }
  const host = match[2]!
  const used = schemeOf(match[1]) ?? scheme ?? (loopback.test(host) ? 'ws' : 'wss')
  const path = match[4] === undefined || match[4] === '/' ? '/v1' : match[4]
  const place = `${host}:${port}`
  const address = used === 'ws' ? `${place}${path}` : `wss://${place}${path}`
  return { text: place, address, scheme: used, given, nodeId: null, failures: 0, notBefore: 0, inUse: false }
}

function schemeOf(text: string | undefined): 'ws' | 'wss' | undefined {
  return text === 'ws' || text === 'wss' ? text : undefined
}

export class Endpoints {
  #list: Endpoint[]
  /** The members, as they were told last. */
  #told: readonly Endpoint[] = []

  /** @throws StrettoError BAD_REQUEST */
  constructor(texts: readonly string[]) {
    if (texts.length === 0)
      throw new StrettoError('BAD_REQUEST', 'no endpoint given: write host:port of at least one node')
    this.#list = []
    for (const text of texts) {
      const endpoint = parseEndpoint(text)
      if (!this.#list.some(known => known.address === endpoint.address)) this.#list.push(endpoint)
    }
  }

  get all(): readonly Endpoint[] {
    return this.#list
  }

  /** Takes in what a node says about the members of its cluster; their addresses are dialled like that node was. */
  learn(welcome: Welcome, from: Endpoint): void {
    from.nodeId = welcome.nodeId
    this.#told = welcome.members.flatMap(({ id, address }) => {
      const endpoint = this.#parse(address, from.scheme)
      return endpoint === null ? [] : [{ ...endpoint, nodeId: id }]
    })
    this.renew()
  }

  /**
   * A place has failed, or the members are told anew. While one place of a node does, another is not tried; and a place
   * that fails is kept only where the caller gave it or the cluster names it: what one node says of others may be old.
   */
  renew(): void {
    const named = new Set<string>()
    for (const told of this.#told) {
      named.add(told.address)
      const known = this.#list.find(one => one.address === told.address)
      if (known !== undefined) known.nodeId = told.nodeId
      else if (!this.#list.some(one => one.nodeId === told.nodeId && one.failures === 0)) this.#list.push({ ...told })
    }
    this.#list = this.#list.filter(
      ({ given, inUse, failures, address }) => given || inUse || failures === 0 || named.has(address)
    )
  }

  /** Where the node `id` is dialled, the place with the fewest failures first; undefined when nobody knows. */
  ofNode(id: string): Endpoint | undefined {
    let best: Endpoint | undefined
    for (const endpoint of this.#list) {
      if (endpoint.nodeId === id && (best === undefined || endpoint.failures < best.failures)) best = endpoint
    }
    return best
  }

  #parse(address: string, scheme: 'ws' | 'wss'): Endpoint | null {
    try {
      return parseEndpoint(address, false, scheme)
    } catch {
      return null
    }
  }
}
