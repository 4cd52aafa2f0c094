// The session that all corners of a key-value client share, and what it keeps alive.
import { Leases } from './leases.ts'
import { type ClientParts, SessionClient, type SessionOptions } from './session-client.ts'

export class KvSession extends SessionClient {
  readonly leases: Leases

  /** @throws StrettoError BAD_REQUEST */
  constructor(parts: ClientParts, endpoints: readonly string[], options: SessionOptions) {
    super(parts, endpoints, options)
    this.leases = new Leases(this, parts.env)
  }

  override close(): Promise<void> {
    this.leases.close()
    return super.close()
  }
}
