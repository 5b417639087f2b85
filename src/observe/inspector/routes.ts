/**
 * @file Answers requests: the page, its parts, the stream of events, limits.
 */

import { SECURITY_HEADERS, documentWith } from './document.ts'
import { servedFiles } from './files.ts'
import { fromJSON, toJSON } from './inspected.ts'
import { messageOf } from './message-of.ts'
import { Pace } from './pace.ts'
import type { Access, Asked } from './access.ts'
import type { Feed } from './feed.ts'
import type { InspectedManager } from './inspected.ts'
import type { ErrorAnswer, Welcome } from './page/messages.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Of a request, in bytes */
const LARGEST_BODY = 256 * 1024

const JSON_TYPE = 'application/json'
const HTML_TYPE = 'text/html; charset=utf-8'

export interface RoutesInit {
  manager: InspectedManager
  access: Access
  feed: Feed
  welcome: Welcome
}

interface Route {
  asked: Asked
  method: 'GET' | 'POST'
  answer(request: IncomingMessage, response: ServerResponse): Promise<void> | void
}

/**
 * What is wrong with a request
 */
class RequestError extends Error {
  readonly status: number

  constructor (status: number, message: string) {
    super(message)
    this.name = 'RequestError'
    this.status = status
  }
}

export class Routes {
  private readonly manager: InspectedManager
  private readonly access: Access
  private readonly feed: Feed
  private readonly welcome: Welcome
  private readonly routes: Map<string, Route>
  private readonly answering = new WeakSet<object>()
  private readonly pace = new Pace()

  constructor ({ manager, access, feed, welcome }: RoutesInit) {
    this.manager = manager
    this.access = access
    this.feed = feed
    this.welcome = welcome
    this.routes = new Map<string, Route>([
      ['/', { asked: 'page', method: 'GET', answer: (_, response) => { send(response, 200, HTML_TYPE, documentWith(access.secret)) } }],
      ['/events', { asked: 'data', method: 'GET', answer: (_, response) => { this.follow(response) } }],
      ['/limits', { asked: 'data', method: 'GET', answer: async (_, response) => this.tellLimits(response) }],
      ['/preview', { asked: 'data', method: 'POST', answer: async (request, response) => this.preview(request, response) }],
      ['/apply', { asked: 'data', method: 'POST', answer: async (request, response) => this.apply(request, response) }]
    ])

    for (const [path, { type, read }] of servedFiles()) {
      this.routes.set(path, { asked: 'part', method: 'GET', answer: async (_, response) => { send(response, 200, type, await read()) } })
    }
  }

  handle (request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request

    // no browser asks before it has the answer, whoever does may not want to read any
    if (this.answering.has(socket)) {
      socket.destroy()

      return
    }

    this.answering.add(socket)
    response.on('close', () => { this.answering.delete(socket) })

    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      response.setHeader(name, value)
    }

    // whoever has gone hears nothing
    request.on('error', () => {})
    response.on('error', () => {})

    this.answer(request, response).catch(err => {
      sendError(response, err instanceof RequestError ? err.status : 500, { message: messageOf(err) })
    })
  }

  private async answer (request: IncomingMessage, response: ServerResponse): Promise<void> {
    // what is no URL is no path either
    const url = parseURL(request.url ?? '')
    const route = url === null ? undefined : this.routes.get(url.pathname)
    const refusal = this.access.refuse(request, url ?? new URL('http://inspector'), route?.asked ?? 'data')

    if (refusal !== undefined) {
      throw new RequestError(403, refusal)
    }

    if (route === undefined) {
      throw new RequestError(404, 'The inspector has no such page')
    }

    if (request.method !== route.method) {
      response.setHeader('allow', route.method)
      throw new RequestError(405, `This is for ${route.method} only`)
    }

    await route.answer(request, response)
  }

  private follow (response: ServerResponse): void {
    if (this.feed.isFull) {
      throw new RequestError(503, 'Too many look at this inspector already')
    }

    this.feed.add(response, this.welcome)
  }

  private async tellLimits (response: ServerResponse): Promise<void> {
    await this.inTurn(response, () => ({ limits: this.manager.limits(), allowChanges: this.welcome.allowChanges }))
  }

  private async preview (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await readText(request)

    await this.inTurn(response, () => ({ changes: this.manager.previewLimits(parse(text)) }))
  }

  private async apply (request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.welcome.allowChanges) {
      throw new RequestError(403, 'The program does not allow changes, it would with serveInspector(manager, { allowChanges: true })')
    }

    const text = await readText(request)

    await this.inTurn(response, () => {
      const limits = parse(text)
      const changes = this.manager.previewLimits(limits)
      this.manager.setLimits(limits)

      return { changes }
    })
  }

  private async inTurn (response: ServerResponse, act: () => object): Promise<void> {
    if (this.pace.isFull) {
      throw new RequestError(503, 'Too many ask at the same time')
    }

    await this.pace.inTurn(() => {
      // it may have taken too long for who has asked
      if (!response.destroyed) {
        answerWith(response, act)
      }
    })
  }
}

/**
 * A limit that makes no sense is told with its path, so that the page can show it
 * there
 */
function answerWith (response: ServerResponse, act: () => object): void {
  try {
    send(response, 200, JSON_TYPE, toJSON(act()))
  } catch (err: any) {
    if (err?.name !== 'InvalidLimitError') {
      throw err
    }

    sendError(response, 422, { message: err.message, path: err.path, allowed: err.allowed })
  }
}

async function readText (request: IncomingMessage): Promise<string> {
  if (request.headers['content-type']?.split(';')[0].trim().toLowerCase() !== JSON_TYPE) {
    throw new RequestError(415, `Limits come as ${JSON_TYPE}`)
  }

  const chunks: Buffer[] = []
  let size = 0

  // a request that is destroyed takes the answer with it
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    size += chunk.byteLength

    if (size > LARGEST_BODY) {
      throw new RequestError(413, `Limits of more than ${LARGEST_BODY} bytes are not taken`)
    }

    chunks.push(chunk)
  }

  return Buffer.concat(chunks).toString()
}

function parseURL (text: string): URL | null {
  try {
    return new URL(text, 'http://inspector')
  } catch {
    return null
  }
}

function parse (text: string): unknown {
  try {
    return fromJSON(text)
  } catch (err: any) {
    throw new RequestError(400, `This is no JSON: ${err.message}`)
  }
}

function sendError (response: ServerResponse, status: number, error: ErrorAnswer): void {
  if (response.headersSent) {
    response.destroy()
    return
  }

  // what is left of a request that is refused is not read
  response.setHeader('connection', 'close')
  send(response, status, JSON_TYPE, JSON.stringify(error))
}

function send (response: ServerResponse, status: number, type: string, body: string | Buffer): void {
  response.writeHead(status, { 'content-type': type })
  response.end(body)
}
