/**
 * @file Two ways to change what an object of somebody else does: in place with
 * an undo, and behind a facade that leaves the object as it is.
 */

/**
 * Replaces a method in place, for objects that others hold references to.
 * `make` gets the original, bound to its object, and returns the replacement.
 *
 * @returns puts the original back. If somebody has replaced the method again
 * meanwhile, theirs stays and ours becomes the original's equal.
 */
export function override<T extends object, K extends keyof T> (target: T, name: K, make: (original: T[K]) => T[K]): () => void {
  const descriptor = Object.getOwnPropertyDescriptor(target, name)
  const original: any = (target[name] as any).bind(target)
  const replacement: any = make(original)
  let active = true

  const wrapper: any = function (...args: any[]): any {
    return active ? replacement(...args) : original(...args)
  }

  Object.defineProperty(target, name, {
    configurable: true,
    enumerable: descriptor?.enumerable ?? false,
    writable: true,
    value: wrapper
  })

  return () => {
    active = false

    if (target[name] !== wrapper) {
      return
    }

    if (descriptor == null) {
      delete target[name]
    } else {
      Object.defineProperty(target, name, descriptor)
    }
  }
}

/**
 * An object that has the given methods in place of the target's. All others run
 * with the target itself as `this`: an object that merely has the target as its
 * prototype would break classes with #private members.
 */
export function facade<T extends object> (target: T, methods: Partial<T>): T {
  // the proxy is of an object of ours: a frozen target could not be answered for otherwise
  return new Proxy(Object.create(null), {
    get (_, property) {
      if (Object.hasOwn(methods, property)) {
        return methods[property as keyof T]
      }

      const value: any = Reflect.get(target, property, target)

      return typeof value === 'function' ? value.bind(target) : value
    },
    set: (_, property, value) => Reflect.set(target, property, value, target),
    has: (_, property) => Reflect.has(target, property),
    getPrototypeOf: () => Reflect.getPrototypeOf(target)
  })
}
