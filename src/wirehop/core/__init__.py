"""Ground floor: what every storey needs, written once. It knows nothing of the storeys above.

events      EventEmitter, and what happens when a listener fails
steps       run a coroutine at once; make it a task only when it suspends
json        JavaScript's JSON, fast
pending     id -> awaited reply, with its deadline
deadlines   one timer for many timeouts
output      the way down to a socket: capped batches, high and low water
ids         random ids, cut from one block
backoff     reconnect delays with jitter
loops       which event loop there is, and one object of a kind for each
"""
