// Room on the disk that is kept taken, so that it can be given up when there is no other left (`ballast.ts`).

export interface Reserve {
  /** So many bytes it is to have. */
  readonly bytes: number
  /** All of them are there. */
  readonly whole: boolean
  fill(): Promise<void>
  /** Ends the filling that is under way. */
  rest(): Promise<void>
  remove(): Promise<void>
}
