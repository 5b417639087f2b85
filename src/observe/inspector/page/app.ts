/**
 * @file The page as a whole.
 */

import { h } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { events } from './api.ts'
import { Dag } from './dag.ts'
import { duration } from './format.ts'
import { LimitsForm } from './limits-form.ts'
import { NearList } from './near-list.ts'
import { RefusalList } from './refusal-list.ts'
import { Store } from './store.ts'
import { Tables } from './tables.ts'
import { Tiles } from './tiles.ts'
import { shortenPeers, verdictOf } from './verdict.ts'
import type { Connection, State } from './store.ts'
import type { VNode } from 'preact'

const CONNECTIONS: Record<Connection, string> = {
  connecting: '○ connecting',
  live: '● live',
  lost: '✕ no answer'
}

export function App (): VNode<any> {
  const [state, setState] = useState<State>()
  const [store] = useState(() => new Store(state => { setState(state) }))
  const [target, setTarget] = useState<{ option: string }>()

  useEffect(() => {
    const source = events()
    store.follow(source)

    return () => { source.close() }
  }, [])

  const onChoose = (option: string): void => { setTarget({ option }) }
  const { snapshot } = state ?? {}

  return h('div', { class: 'page', 'data-snapshots': state?.snapshots ?? 0 },
    h(Header, { state: state ?? store.state, store }),
    h(Headline, { state: state ?? store.state, onChoose }),
    snapshot !== undefined && state !== undefined && [
      h(Tiles, { key: 'tiles', snapshot, samples: state.samples }),
      h('div', { key: 'main', class: 'main' },
        h('section', { class: 'panel', 'aria-labelledby': 'dag-title' },
          h('h2', { id: 'dag-title' }, 'Scopes', h('small', null, ' what is used of what may be used, ★ is the fullest')),
          h(Dag, { snapshot, onChoose })),
        h('div', { class: 'right' },
          h(RefusalList, { refusals: state.refusals, recent: state.recent, onChoose }),
          h(NearList, { near: snapshot.near, onChoose }))),
      h(Tables, { key: 'tables', snapshot, onChoose })
    ],
    h(LimitsForm, { target }))
}

function Header ({ state: { welcome, snapshot, connection, paused }, store }: { state: State, store: Store }): VNode<any> {
  return h('header', null,
    h('h1', null, 'Resource manager'),
    h('span', { class: 'who', title: welcome?.name }, shortenPeers(welcome?.name ?? location.host)),
    welcome === undefined ? null : h('span', null, `process ${welcome.pid}`),
    snapshot === undefined ? null : h('span', null, `up ${duration(snapshot.uptime)}`),
    h('span', { class: 'spacer' }),
    h('nav', null, h('a', { href: '#limits' }, 'Limits')),
    h('button', { type: 'button', 'aria-pressed': paused, onClick: () => { store.setPaused(!paused) } }, paused ? 'Resume' : 'Pause'),
    h('span', { class: `connection ${paused ? 'paused' : connection}`, role: 'status' }, paused ? '‖ paused' : CONNECTIONS[connection]))
}

function Headline ({ state, onChoose }: { state: State, onChoose(option: string): void }): VNode<any> {
  if (state.connection === 'lost') {
    return h('p', { class: 'verdict lost', role: 'status' }, h('b', null, 'The node does not answer.'), ' If it was started again, load the page at its new address.')
  }

  if (state.trouble !== undefined) {
    return h('p', { class: 'verdict lost', role: 'status' }, h('b', null, 'The node cannot say what it holds.'), ` ${state.trouble}`)
  }

  const { level, headline, detail, option } = verdictOf(state)

  return h('p', { class: `verdict ${level}`, role: 'status' },
    h('b', null, headline),
    detail === '' ? null : h('span', { class: 'detail' }, detail),
    option === undefined ? null : h('button', { type: 'button', class: 'link', disabled: !option.startsWith('limits.'), onClick: () => { onChoose(option) } }, h('code', null, shortenPeers(option))))
}
