import { expect } from 'aegir/chai'
import { runFlood } from '../../fixtures/flood/run.ts'

const MiB = 1024 * 1024
const LIMIT = 32 * MiB

describe('a flood of data that nobody reads', () => {
  // npm run benchmark:memory does it with more peers, for longer
  // the attack fills the memory as fast as the machine lets it
  it('is held up to the limit and 128 MiB, while honest peers are served and lose nothing', async function () {
    this.timeout(120_000)

    const { held, served } = await runFlood({
      limit: LIMIT,
      peers: 12,
      streams: 64,
      duration: 4_000,
      slowBytes: MiB,
      slowPause: 20
    })

    expect(held.peak - held.idle).to.be.lessThan(LIMIT + 128 * MiB)
    expect(held.accounted).to.be.within(LIMIT / 2, LIMIT)
    expect(held.refusals).to.be.greaterThan(0)

    expect(served.failures).to.be.empty()
    expect(served.requests).to.be.greaterThan(0)
    expect(served.reconnects).to.be.greaterThan(0)

    for (const { sent, received, failures } of Object.values(served.transfers)) {
      expect(failures).to.be.empty()
      expect(sent).to.be.greaterThan(0)
      expect(received).to.equal(sent)
    }
  })
})
