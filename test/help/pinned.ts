// A client that speaks to one node and no other, whatever it learns of the cluster.
import { Client } from '../../lib/client/kv-client.ts'
import type { ClientOptions } from '../../lib/client/options.ts'
import { realEnv } from '../../lib/client/real-env.ts'
import type { Link, LinkHandler, Net } from '../../lib/transport/net.ts'
import { WsNet } from '../../lib/transport/ws-net.ts'
import { clientMessageBytesMax, clientSubprotocol } from '../../lib/wire/client.ts'

/** Nothing listens there. */
const nowhere = '127.0.0.1:1/v1'

/** What `connect` uses. */
export function clientNet(): Net {
  return new WsNet({
    env: realEnv(),
    messageBytesMax: 64 * clientMessageBytesMax,
    subprotocol: clientSubprotocol
  })
}

export function connectOnly(address: string, options: ClientOptions<string> = {}): Client<string> {
  const all = clientNet()
  const one: Net = {
    dial: (to: string, handler: LinkHandler): Link => all.dial(to.startsWith(`${address}/`) ? to : nowhere, handler),
    listen: (at, accept, done) => all.listen(at, accept, done)
  }
  return new Client<string>({ env: realEnv(), net: one }, [address], options)
}
