// What can be packed: plain values, and how deep they may stand in each other.

export type Packed = number | string | boolean | null | Uint8Array | readonly Packed[]

export const depthMax = 32
