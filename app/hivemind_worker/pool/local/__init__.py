"""The embedded pool (`hivemind-worker pool`): the pool's side of the protocol, complete in one process.

`pool` builds it; `door` takes the calls; `users`, `nodes`, `requests` and `workers` are
the four services; `dispatch` hands out tasks. Counterpart: `pool.client` and
`pool.server` of a worker, with which it shares nothing but the protocol.
"""
