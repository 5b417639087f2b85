/**
 * @file The names of services. A service may have several, which all mean one
 * scope: this is the only place that knows which.
 */

export class ServiceNames {
  private readonly others = new Map<string, string>()
  private readonly own = new Set<string>()

  /**
   * Asked before a name becomes another one of a service. It may throw, then it
   * does not.
   */
  onAlias?: (name: string, canonical: string) => void

  /**
   * The name that the scope of a service has, whichever of its names is given
   */
  canonical (name: string): string {
    return this.others.get(name) ?? name
  }

  /**
   * Says that a name stands for itself, whatever `alias` is told later
   */
  keep (name: string): void {
    this.own.add(name)
  }

  /**
   * Says that a name is another one of a service. What a name stands for is said
   * once, it does not change after that.
   */
  alias (name: string, canonical: string): void {
    if (name === canonical || this.own.has(name) || this.others.has(name)) {
      return
    }

    this.onAlias?.(name, canonical)
    this.others.set(name, canonical)
  }
}

/**
 * Something by service. It is found by all names of a service and listed by the
 * one of its scope.
 */
export class ByService<T> extends Map<string, T> {
  private readonly names: ServiceNames

  constructor (entries: Iterable<[string, T]>, names: ServiceNames) {
    super(entries)
    this.names = names
  }

  get (name: string): T | undefined {
    return super.get(this.names.canonical(name))
  }

  has (name: string): boolean {
    return super.has(this.names.canonical(name))
  }
}
