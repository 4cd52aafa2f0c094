// Versions: which protocol two nodes may speak with each other, and the name by which a WebSocket asks for it.

/** Versions from the first to the second, both included. */
export type VersionRange = readonly [number, number]

/** The versions of the protocol between nodes that this code speaks. */
export const protocolRange: VersionRange = [1, 1]

/** Versions are at most this, so that one fits wherever it is written. */
export const versionMax = 65_535

/** Asked for in the WebSocket handshake, so that a stranger on the port is turned away before the first frame. */
export const peerSubprotocol = 'stretto-peer'

/** The highest version both sides can speak, null when there is none. */
export function sharedVersion(mine: VersionRange, theirs: VersionRange): number | null {
  const highest = Math.min(mine[1], theirs[1])
  return highest >= Math.max(mine[0], theirs[0]) ? highest : null
}
