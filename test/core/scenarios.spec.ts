import { expect } from 'aegir/chai'
import { isResourceLimitExceeded } from '../../src/index.ts'
import { CallbackError, fullName, resourceOf, ScenarioRun, scenarios, stateOf } from '../fixtures/vectors-scenarios.ts'
import type { Expected, Outcome, Scenario, State, Step } from '../fixtures/vectors-scenarios.ts'

const ERRORS: Record<string, string> = {
  limit: 'ResourceLimitExceededError',
  closed: 'ScopeClosedError',
  negativeSize: 'InvalidReservationError',
  alreadyAttached: 'ScopeAttachedError',
  notAttached: 'ScopeNotAttachedError',
  perIpLimit: 'ResourceLimitExceededError',
  rateLimit: 'ResourceLimitExceededError'
}

const UNKNOWN_DIRECTION = 'conn-unknown-direction'

/**
 * Where DESIGN 8 differs from go, or from what the vector recommends: from which
 * step on, and why. The steps before are as in the vector.
 */
const DEPARTURES: Record<string, { from: number, why: string, then(run: ScenarioRun, steps: Step[]): void }> = {
  'conn-rate-limit': {
    from: 4,
    why: 'an allowlisted address passes every gate, that of rates included',
    then (run, steps) {
      expect(run.run(steps[4]).error).to.be.undefined()
      expect(run.state().stats.allowlistedSystem).to.deep.equal({ inboundConnections: 1, fileDescriptors: 1 })
      // everybody else still has to wait
      expect(run.run(steps[5]).error).to.have.property('kind', 'rate')
    }
  },
  'allowlist-fallback-not-in-ip-count': {
    from: 3,
    why: 'an allowlisted address passes every gate, that of its subnet included',
    then (run, steps) {
      expect(run.run(steps[3]).error).to.be.undefined()
      expect(run.state().stats.allowlistedSystem).to.deep.equal({ inboundConnections: 3, fileDescriptors: 3 })
      expect(run.state().stats.system).to.deep.equal({ outboundConnections: 1, fileDescriptors: 1 })
    }
  },
  'quirk-moved-conn-escapes-ip-limit': {
    from: 4,
    why: 'the connection that moved has taken the slot of its address, but the address is allowlisted until the peer is known, so the next one waits in the allowlisted scopes and is refused when it turns out to be a wrong peer too',
    then (run, steps) {
      expect(run.run(steps[4]).error).to.be.undefined()
      expect(run.state().stats.allowlistedTransient).to.deep.equal({ inboundConnections: 1, fileDescriptors: 1 })
      const before = run.state().stats

      const { error } = run.run({ ...steps[3], on: 'c2' })
      expect(error).to.have.property('kind', 'subnet')
      expect(run.state().stats).to.deep.equal(before)
    }
  },
  'allowlist-does-not-reach-streams': {
    from: 2,
    why: 'streams of a peer with an allowlisted connection fall back to the allowlisted scopes, as its connections do',
    then (run, steps) {
      expect(run.run(steps[2]).error).to.be.undefined()
      expect(run.state().stats.allowlistedSystem).to.deep.equal({ inboundConnections: 1, fileDescriptors: 1, inboundStreams: 1 })
      run.run({ op: 'done', on: 'c1', expect: { ok: true } })
      // and no longer once the connection is gone
      expect(run.run({ ...steps[2], as: 's2' }).error).to.have.property('scope', 'system')
    }
  }
}

describe('scope scenarios', () => {
  it('has scenarios with names of their own', () => {
    expect(new Set(scenarios.map(({ id }) => id))).to.have.property('size', scenarios.length)
  })

  for (const scenario of scenarios) {
    const departure = DEPARTURES[scenario.id]

    if (departure != null) {
      it(`${scenario.id}: not as go from step ${departure.from + 1} on, ${departure.why} (DESIGN 8)`, () => {
        const run = new ScenarioRun(scenario)

        play(run, scenario.steps.slice(0, departure.from))
        departure.then(run, scenario.steps)
        run.manager.close()
      })
    } else if (scenario.id !== UNKNOWN_DIRECTION) {
      it(nameOf(scenario), () => {
        const run = new ScenarioRun(scenario)

        play(run, scenario.steps)
        run.manager.close()
      })
    }
  }

  it(`${UNKNOWN_DIRECTION}: not as go, a direction that is neither inbound nor outbound is refused and changes nothing, because go counts it as outbound without a word (DESIGN 8)`, () => {
    const scenario = scenarios.find(({ id }) => id === UNKNOWN_DIRECTION)

    if (scenario == null) {
      throw new Error('The scenario is gone')
    }

    const run = new ScenarioRun(scenario)
    let opened = { connection: 0, stream: 0 }

    for (const step of scenario.steps) {
      const before = run.state()
      const outcome = run.run(step)

      if (step.dir === 'unknown') {
        expect(outcome.error).to.have.property('name', 'InvalidReservationError')
        expect(outcome.error.message).to.include('unknown')
        expect(outcome.blocked).to.be.empty()
        expect(run.state()).to.deep.equal(before)
      } else if (step.op === 'openConnection') {
        // go refuses this one, it has counted the connection before
        opened = { ...opened, connection: opened.connection + 1 }
        expect(outcome.scope).to.have.property('name', `conn-${opened.connection}`)
      } else {
        opened = { ...opened, stream: opened.stream + 1 }
        expect(outcome.scope).to.have.property('name', `stream-${opened.stream}`)
      }
    }

    expect(run.state().stats.system).to.deep.equal({ outboundConnections: 1, outboundStreams: 1, fileDescriptors: 1 })
    run.manager.close()
  })
})

function nameOf ({ id, goQuirk, steps }: Scenario): string {
  if (goQuirk == null) {
    return id
  }

  if (!steps.some(step => step.recommended != null)) {
    throw new Error(`${id} shows a quirk of go but no step says what is better`)
  }

  return `${id}: not as go, ${goQuirk.recommended}, because ${goQuirk.why}`
}

function play (run: ScenarioRun, steps: Step[]): void {
  steps.forEach((step, index) => {
    const { expect: expected, after } = step.recommended ?? step
    const where = `step ${index + 1}, ${step.op} ${step.on ?? step.as ?? ''}`
    const before = run.state()
    const outcome = run.run(step)

    if (expected.ok) {
      expectSuccess(outcome, step, expected, where)
    } else {
      expectError(outcome, step, expected, where)
      expectCountsUnchanged(run.state(), before, where)
    }

    expect(run.state(), where).to.deep.equal(stateOf(after))
  })
}

function expectSuccess (outcome: Outcome, step: Step, expected: Expected, where: string): void {
  expect(outcome.error, where).to.be.undefined()
  expect(outcome.blocked, where).to.be.empty()

  if (expected.scopeName != null) {
    expect(outcome.scope, where).to.have.property('name', fullName(expected.scopeName))
  }

  if (step.op === 'get') {
    expect(outcome.scope?.name, where).to.equal(expected.value == null ? undefined : fullName(expected.value))
  }
}

function expectError ({ error, blocked }: Outcome, step: Step, expected: Expected, where: string): void {
  if (expected.error === 'callback') {
    expect(error, where).to.be.an.instanceOf(CallbackError)
    expect(error, where).to.have.property('message', step.callbackThrows)
    expect(blocked, where).to.be.empty()
    return
  }

  expect(error, where).to.have.property('name', ERRORS[expected.error ?? ''] ?? 'unknown kind of error')
  expect(isResourceLimitExceeded(error), where).to.equal(ERRORS[expected.error ?? ''] === 'ResourceLimitExceededError')

  if (expected.error === 'perIpLimit' || expected.error === 'rateLimit') {
    expect(error, where).to.have.property('kind', expected.error === 'perIpLimit' ? 'subnet' : 'rate')
    expect(blocked, where).to.deep.equal([error])
    return
  }

  if (expected.error === 'limit' || expected.error === 'closed') {
    expect(error, where).to.have.property('scope', fullName(expected.refusedBy ?? ''))
    expect(error.path, where).to.deep.equal(expected.path?.map(fullName))
  }

  if (expected.error !== 'limit') {
    expect(blocked, where).to.be.empty()
    return
  }

  expect(blocked, where).to.deep.equal([error])
  expect(error, where).to.have.property('resource', resourceOf(expected.resource ?? 'memory'))
  expect(error, where).to.have.property('current', expected.current)
  expect(error, where).to.have.property('attempted', expected.attempted)
  expect(error, where).to.have.property('limit', expected.limit)
  expect(error.priority, where).to.equal(expected.priority)
  expect(error, where).to.have.property('temporary', true)

  if (step.dir != null) {
    expect(error, where).to.have.property('direction', step.dir)
  }
}

function expectCountsUnchanged (state: State, before: State, where: string): void {
  expect(state.stats, where).to.deep.equal(before.stats)
}
