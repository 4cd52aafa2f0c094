// The public door: the client of a key-value cluster, and the errors that every part of stretto speaks.
export { errorCodes } from './base/errors.ts'
export * from './client/client.ts'
