import './libp2p/lifecycle.node.ts'
