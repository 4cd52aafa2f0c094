// The public door of the client in a web page: the same as in a process, on the page's own WebSocket.

import { type PageSocketClass, WebNet } from '../transport/web-net.ts'
import { clientSubprotocol } from '../wire/client.ts'
import { type Connect, connectOver } from './connect.ts'

export { StrettoError } from '../base/errors.ts'
export { cmp } from './compares.ts'
export { Client } from './kv-client.ts'
export { op } from './operations.ts'

export const connect: Connect = connectOver(env => {
  const { WebSocket: socketClass } = globalThis as unknown as { readonly WebSocket: PageSocketClass }
  return new WebNet({ env, subprotocol: clientSubprotocol, socketClass })
})
