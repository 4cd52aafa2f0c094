// Who may call: against web pages of others (CWE-1385) and names that were rebound to this machine (DNS rebinding).
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { isLoopback, parseAddress } from './address.ts'
import type { ServerOptions } from './options.ts'

export interface CallerRules {
  /** Names by which this node is called, in lower case, besides loopback and the address that was dialled. */
  readonly hosts: ReadonlySet<string>
  /** Origins whose pages may call; none by default. */
  readonly origins: ReadonlySet<string>
}

/** Why a request or an upgrade is refused with 403, in one line; null where it may go on. */
export function refuseCaller(request: IncomingMessage, rules: CallerRules): string | null {
  const origin = request.headers.origin
  if (origin !== undefined && !rules.origins.has(origin)) {
    return 'pages of this origin may not use this node: --allow-origin names those that may'
  }
  const host = hostNameOf(request.headers.host)
  if (host === null) return 'the Host header is missing or malformed'
  if (isLoopback(host) || rules.hosts.has(host)) return null
  // A page cannot make a browser send an address in place of the name that it was loaded from.
  if (isIP(host) !== 0 && host === plainAddress(request.socket.localAddress)) return null
  return 'this node does not go by the name in the Host header: --allow-host names those it goes by'
}

/** The name or address in a Host header, in lower case, without brackets and port; null where it is malformed. */
function hostNameOf(header: string | undefined): string | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::\d{1,5})?$/.exec(header ?? '')
  if (match === null || header!.length > 300) return null
  return (match[1] ?? match[2]!).toLowerCase().replace(/\.$/, '')
}

function plainAddress(address: string | undefined): string | undefined {
  return address?.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}

/** Names and addresses by which this node may be called: those it is configured with, and those it is told to the others. */
export function ownNames({
  hosts,
  listen,
  advertise
}: Pick<ServerOptions, 'hosts' | 'listen' | 'advertise'>): ReadonlySet<string> {
  const own = [listen.host, parseAddress(advertise).host]
  return new Set([...hosts, ...own.map(host => host.toLowerCase().replace(/\.$/, ''))])
}
