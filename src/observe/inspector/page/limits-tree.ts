/**
 * @file All limits as a tree. What is closed is not made.
 */

import { h } from 'preact'
import { useState } from 'preact/hooks'
import { NAMED, pathOf, WHOLE } from './edits.ts'
import { count, FIELD_NAMES, limitInput } from './format.ts'
import { FIELDS } from './messages.ts'
import { shortenPeers } from './verdict.ts'
import type { Edit, Edits, Place } from './edits.ts'
import type { ErrorAnswer, LimitTree, LimitValue } from './messages.ts'
import type { TargetedEvent, VNode } from 'preact'

/** Names that are listed, the others are found by the filter */
const SHOWN = 100

const KEYS: Record<string, string> = {
  system: 'everything together',
  transient: 'what is being set up',
  allowlistedSystem: 'allowlisted, when the system is full',
  allowlistedTransient: 'allowlisted, being set up',
  services: 'by service',
  serviceDefault: 'each other service',
  servicePeers: 'what one peer may use, by service',
  servicePeerDefault: 'of each other service',
  protocols: 'by protocol',
  protocolDefault: 'each other protocol',
  protocolPeers: 'what one peer may use, by protocol',
  protocolPeerDefault: 'of each other protocol',
  peers: 'by peer',
  peerDefault: 'each other peer',
  connection: 'each connection',
  stream: 'each stream',
  subnets: 'connections by address',
  rates: 'how often something may happen'
}

/** What can be counted there; all else is in no such scope */
const STREAM_FIELDS = ['memory', 'streams', 'inboundStreams', 'outboundStreams'] as const

const OF_STREAMS = new Set(['services', 'serviceDefault', 'servicePeers', 'servicePeerDefault', 'protocols', 'protocolDefault', 'protocolPeers', 'protocolPeerDefault', 'stream'])

export interface LimitsTreeProps {
  limits: LimitTree
  edits: Edits
  /** Names that have no limits of their own yet, by key */
  added: ReadonlyMap<string, readonly string[]>
  open: ReadonlySet<string>
  error?: ErrorAnswer
  onEdit(edit: Edit): void
  onUndo(path: string): void
  onOpen(path: string, isOpen: boolean): void
  onAdd(key: string, name: string): void
}

export function LimitsTree (props: LimitsTreeProps): VNode<any> {
  return h('div', { class: 'tree' }, Object.entries(KEYS).map(([key, words]) => h(Branch, {
    key,
    place: { key },
    words,
    props,
    content: () => contentOf(key, props)
  })))
}

function contentOf (key: string, props: LimitsTreeProps): VNode<any> {
  const place = { key }

  if (key in NAMED) {
    return h(Names, { place, props })
  }

  return WHOLE.includes(key)
    ? h(Whole, { place, value: props.limits[key], props })
    : h(Fields, { place, values: props.limits[key], props })
}

interface BranchProps {
  place: Place
  words: string
  props: LimitsTreeProps
  content(): VNode<any>
}

function Branch ({ place, words, props: { open, edits, error, onOpen }, content }: BranchProps): VNode<any> {
  const path = pathOf(place)
  const isOpen = open.has(path)
  const within = (other: string): boolean => other === path || other.startsWith(`${path}.`) || other.startsWith(`${path}[`)
  const changed = [...edits.keys()].filter(within).length

  return h('details', { open: isOpen, onToggle: ({ currentTarget }: TargetedEvent<HTMLDetailsElement>) => { currentTarget.open !== isOpen && onOpen(path, currentTarget.open) } },
    h('summary', null,
      h('code', null, place.name === undefined ? place.key : shortenPeers(place.name)),
      h('span', { class: 'words' }, words),
      changed === 0 ? null : h('span', { class: 'tag changed' }, `${count(changed)} changed`),
      error?.path !== undefined && within(error.path) ? h('span', { class: 'tag wrong' }, 'not valid') : null),
    isOpen ? content() : null)
}

function Names ({ place: { key }, props }: { place: Place, props: LimitsTreeProps }): VNode<any> {
  const [filter, setFilter] = useState('')
  const { limits, added, onAdd } = props
  const own = Object.keys(limits[key])
  const more = (added.get(key) ?? []).filter(name => !own.includes(name))
  const names = [...more, ...own].filter(name => name.includes(filter))
  const isNew = filter !== '' && !own.includes(filter) && !more.includes(filter)

  return h('div', { class: 'names' },
    h('div', { class: 'filter' },
      h('input', { type: 'text', 'aria-label': `Find or add one of ${key}`, placeholder: 'find, or name another one to add', value: filter, onInput: (event: TargetedEvent<HTMLInputElement>) => { setFilter(event.currentTarget.value) } }),
      h('button', { type: 'button', disabled: !isNew, onClick: () => { onAdd(key, filter); setFilter('') } }, 'Add')),
    names.slice(0, SHOWN).map(name => h(Branch, {
      key: name,
      place: { key, name },
      words: own.includes(name) ? '' : `as ${NAMED[key]} until it is changed`,
      props,
      content: () => h(Fields, { place: { key, name }, values: own.includes(name) ? limits[key][name] : limits[NAMED[key]], props })
    })),
    names.length > SHOWN ? h('p', { class: 'empty' }, `and ${count(names.length - SHOWN)} more`) : null)
}

function Fields ({ place, values, props: { edits, error, onEdit, onUndo } }: { place: Place, values: Record<string, LimitValue>, props: LimitsTreeProps }): VNode<any> {
  const path = pathOf(place)
  const names = OF_STREAMS.has(place.key) ? STREAM_FIELDS : FIELDS

  return h('div', { class: 'fields' },
    error?.path === path ? h('p', { class: 'error', role: 'alert' }, error.message) : null,
    names.map(field => {
      const at = `${path}.${field}`
      const edit = edits.get(at)
      const current = limitInput(field, values[field])
      const wrong = error?.path === at ? error : undefined

      return h('div', { key: field, class: `field${edit === undefined ? '' : ' changed'}${wrong === undefined ? '' : ' wrong'}` },
        h('label', { for: at }, FIELD_NAMES[field]),
        h('input', {
          id: at,
          type: 'text',
          spellcheck: false,
          value: edit?.text ?? current,
          'aria-invalid': wrong !== undefined,
          'aria-describedby': wrong === undefined ? undefined : `${at}-error`,
          onInput: (event: TargetedEvent<HTMLInputElement>) => {
            const { value: text } = event.currentTarget
            text.trim() === current ? onUndo(at) : onEdit({ ...place, field, text })
          }
        }),
        edit === undefined ? null : h('span', { class: 'was' }, `now ${current}`),
        wrong === undefined ? null : h('p', { class: 'error', role: 'alert', id: `${at}-error` }, wrong.allowed === undefined ? wrong.message : `Allowed is ${wrong.allowed}`))
    }))
}

function Whole ({ place, value, props: { edits, error, onEdit, onUndo } }: { place: Place, value: unknown, props: LimitsTreeProps }): VNode<any> {
  const path = pathOf(place)
  const current = JSON.stringify(value, null, 2)
  const wrong = error?.path?.startsWith(path) === true ? error : undefined

  return h('div', { class: 'fields whole' },
    h('label', { for: path }, `All of ${place.key} as JSON, replaced as a whole`),
    h('textarea', {
      id: path,
      rows: 12,
      spellcheck: false,
      value: edits.get(path)?.text ?? current,
      'aria-invalid': wrong !== undefined,
      'aria-describedby': wrong === undefined ? undefined : `${path}-error`,
      onInput: (event: TargetedEvent<HTMLTextAreaElement>) => {
        const { value: text } = event.currentTarget
        text === current ? onUndo(path) : onEdit({ ...place, text })
      }
    }),
    wrong === undefined ? null : h('p', { class: 'error', role: 'alert', id: `${path}-error` }, wrong.message))
}
