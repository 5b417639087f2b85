/**
 * @file The plain sketch that the manager is compared with: the same counters,
 * sums and checks as the simplest objects that hold them. It knows no names, no
 * spans, no arguments that make no sense, no closed scopes and no errors that
 * say what to do; a refusal is `false`.
 */

interface Counter {
  inboundStreams: number
  outboundStreams: number
  inboundConnections: number
  outboundConnections: number
  fileDescriptors: number
  memory: number
  limit: number
}

interface Group {
  all: Counter
  peers: Map<string, Counter>
}

export interface SketchLeaf {
  peer: string
  own: Counter
  above: Counter[]
}

const INBOUND = 0

export class Sketch {
  system = counter()
  transient = counter()
  peers = new Map<string, Counter>()
  protocols = new Map<string, Group>()
  services = new Map<string, Group>()

  openStream (peer: string, direction: number): SketchLeaf | false {
    const own = counter()
    const above = [this.peer(peer), this.transient, this.system]

    for (const c of above) {
      if (!fitsStream(c, direction)) {
        return false
      }
    }

    if (direction === INBOUND) {
      own.inboundStreams = 1
    } else {
      own.outboundStreams = 1
    }

    for (const c of above) {
      add(c, own)
    }

    return { peer, own, above }
  }

  setProtocol (stream: SketchLeaf, name: string): boolean {
    const group = this.group(this.protocols, name)
    const groupPeer = this.ofPeer(group, stream.peer)

    if (!fits(group.all, stream.own) || !fits(groupPeer, stream.own)) {
      return false
    }

    subtract(this.transient, stream.own)
    add(group.all, stream.own)
    add(groupPeer, stream.own)
    stream.above = [stream.above[0], groupPeer, group.all, this.system]

    return true
  }

  setService (stream: SketchLeaf, name: string): boolean {
    const group = this.group(this.services, name)
    const groupPeer = this.ofPeer(group, stream.peer)

    if (!fits(group.all, stream.own) || !fits(groupPeer, stream.own)) {
      return false
    }

    add(group.all, stream.own)
    add(groupPeer, stream.own)
    stream.above.push(group.all, groupPeer)

    return true
  }

  openConnection (direction: number, fileDescriptors: number): SketchLeaf | false {
    const own = counter()
    const above = [this.transient, this.system]

    for (const c of above) {
      if (!fitsConnection(c, direction, fileDescriptors)) {
        return false
      }
    }

    if (direction === INBOUND) {
      own.inboundConnections = 1
    } else {
      own.outboundConnections = 1
    }

    own.fileDescriptors = fileDescriptors

    for (const c of above) {
      add(c, own)
    }

    return { peer: '', own, above }
  }

  setPeer (connection: SketchLeaf, peer: string): boolean {
    const c = this.peer(peer)

    if (!fits(c, connection.own)) {
      return false
    }

    subtract(this.transient, connection.own)
    add(c, connection.own)
    connection.above = [c, this.system]

    return true
  }

  reserve (leaf: SketchLeaf, size: number): boolean {
    if (leaf.own.memory + size > leaf.own.limit) {
      return false
    }

    for (const c of leaf.above) {
      if (c.memory + size > c.limit) {
        return false
      }
    }

    leaf.own.memory += size

    for (const c of leaf.above) {
      c.memory += size
    }

    return true
  }

  release (leaf: SketchLeaf, size: number): void {
    leaf.own.memory -= size

    for (const c of leaf.above) {
      c.memory -= size
    }
  }

  done (leaf: SketchLeaf): void {
    for (const c of leaf.above) {
      subtract(c, leaf.own)
    }

    leaf.above = []
  }

  private peer (peer: string): Counter {
    let c = this.peers.get(peer)

    if (c === undefined) {
      c = counter()
      this.peers.set(peer, c)
    }

    return c
  }

  private group (groups: Map<string, Group>, name: string): Group {
    let group = groups.get(name)

    if (group === undefined) {
      group = { all: counter(), peers: new Map() }
      groups.set(name, group)
    }

    return group
  }

  private ofPeer (group: Group, peer: string): Counter {
    let c = group.peers.get(peer)

    if (c === undefined) {
      c = counter()
      group.peers.set(peer, c)
    }

    return c
  }
}

function counter (): Counter {
  return {
    inboundStreams: 0,
    outboundStreams: 0,
    inboundConnections: 0,
    outboundConnections: 0,
    fileDescriptors: 0,
    memory: 0,
    limit: Infinity
  }
}

function fitsStream (c: Counter, direction: number): boolean {
  return (direction === INBOUND ? c.inboundStreams : c.outboundStreams) < c.limit &&
    c.inboundStreams + c.outboundStreams < c.limit
}

function fitsConnection (c: Counter, direction: number, fileDescriptors: number): boolean {
  return (direction === INBOUND ? c.inboundConnections : c.outboundConnections) < c.limit &&
    c.inboundConnections + c.outboundConnections < c.limit &&
    c.fileDescriptors + fileDescriptors <= c.limit
}

function fits (c: Counter, leaf: Counter): boolean {
  return c.memory + leaf.memory <= c.limit &&
    c.inboundStreams + leaf.inboundStreams <= c.limit &&
    c.outboundStreams + leaf.outboundStreams <= c.limit &&
    c.inboundStreams + c.outboundStreams + leaf.inboundStreams + leaf.outboundStreams <= c.limit &&
    c.inboundConnections + leaf.inboundConnections <= c.limit &&
    c.outboundConnections + leaf.outboundConnections <= c.limit &&
    c.inboundConnections + c.outboundConnections + leaf.inboundConnections + leaf.outboundConnections <= c.limit &&
    c.fileDescriptors + leaf.fileDescriptors <= c.limit
}

function add (c: Counter, leaf: Counter): void {
  c.inboundStreams += leaf.inboundStreams
  c.outboundStreams += leaf.outboundStreams
  c.inboundConnections += leaf.inboundConnections
  c.outboundConnections += leaf.outboundConnections
  c.fileDescriptors += leaf.fileDescriptors
  c.memory += leaf.memory
}

function subtract (c: Counter, leaf: Counter): void {
  c.inboundStreams -= leaf.inboundStreams
  c.outboundStreams -= leaf.outboundStreams
  c.inboundConnections -= leaf.inboundConnections
  c.outboundConnections -= leaf.outboundConnections
  c.fileDescriptors -= leaf.fileDescriptors
  c.memory -= leaf.memory
}
