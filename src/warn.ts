/**
 * @file Warnings that must be seen: js-libp2p's logs are off by default.
 */

export function warn (message: string): void {
  const process = globalThis.process

  if (typeof process?.emitWarning === 'function') {
    process.emitWarning(message, 'ResourceManagerWarning')
  } else {
    // eslint-disable-next-line no-console
    console.warn(message)
  }
}
