/**
 * @file The child's end of the line to the process that made it. A child never
 * outlives its parent.
 */

export class Parent<Options, ToChild, FromChild> {
  /** What the parent handed over when it made this process */
  readonly options: Options

  constructor () {
    if (process.send == null || process.argv[2] == null) {
      process.stderr.write('This file is run by index.ts\n')
      process.exit(2)
    }

    process.on('disconnect', () => { process.exit() })

    // Ctrl-C reaches the whole group, the parent decides what it means
    process.on('SIGINT', () => {})

    if (!process.connected) {
      process.exit()
    }

    this.options = JSON.parse(process.argv[2])
  }

  onMessage (listener: (message: ToChild) => void | Promise<void>): void {
    process.on('message', message => {
      Promise.resolve(listener(message as ToChild)).catch(err => {
        process.stderr.write(`${err.stack}\n`)
        process.exit(1)
      })
    })
  }

  tell (message: FromChild): void {
    if (process.connected) {
      // the parent may be gone a moment before this process hears of it
      process.send?.(message, undefined, undefined, () => {})
    }
  }
}
