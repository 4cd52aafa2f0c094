// The public door: the client of a key-value cluster, and the errors that every part of stretto speaks.
export { type ErrorCode, errorCodes, type Fate, StrettoError } from './base/errors.ts'
export * from './client/client.ts'
