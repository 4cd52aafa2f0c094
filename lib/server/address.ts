// Addresses `host:port`, also `[::1]:7001`, and which hosts are this machine alone.
import { isIP, isIPv4, isIPv6 } from 'node:net'
import { UsageError } from './usage-error.ts'

export interface Address {
  /** A name, or an IP address without brackets. */
  readonly host: string
  /** 0 to 65535; 0 asks the system for a free one. */
  readonly port: number
}

const hostPattern =
  /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?$/

/** @throws UsageError unless `text` is a host and a port */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text.trim())
  if (match === null) {
    if (isIPv6(text.trim()))
      throw new UsageError(`'${text}' lacks a port: write an IPv6 address as [${text.trim()}]:7001`)
    throw new UsageError(`'${text}' is not an address: write host:port, such as 127.0.0.1:7001 or [::1]:7001`)
  }
  const [, bracketed, plain, digits] = match
  const port = Number(digits)
  if (port > 65_535) throw new UsageError(`'${text}' has port ${port}: ports end at 65535`)
  if (bracketed !== undefined) {
    if (!isIPv6(bracketed)) throw new UsageError(`'${text}' has no IPv6 address between its brackets`)
    return { host: bracketed, port }
  }
  if (!isHost(plain!)) throw new UsageError(`'${text}' has no valid host before the colon`)
  return { host: plain!, port }
}

function isHost(text: string): boolean {
  if (isIPv4(text)) return true
  // Digits and dots that are no IPv4 address are a slip of the hand, though names may look like that.
  return hostPattern.test(text) && !/^[\d.]+$/.test(text)
}

export function formatAddress({ host, port }: Address): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}

/** True where only this machine can reach the host. A name other than `localhost` could be anywhere. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '')
  if (name === 'localhost' || name.endsWith('.localhost')) return true
  if (isIPv4(name)) return name.startsWith('127.')
  return isIP(name) === 6 && (/^(0{1,4}:){7}0{0,3}1$/.test(name) || name === '::1' || name.startsWith('::ffff:127.'))
}

/** True where a node listens on every address, so that the text names no place to dial. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || /^[0:]+$/.test(host)
}
