"""The HTTP engine: one selector loop that reads requests, asks its hooks, commits once a turn and then replies.

messages   what a handler takes and gives: Request, Response, Park, Stream, Offload, Receive
parser     bytes to request heads and bodies, strictly
wirejson   JSON from the wire (strict) and to the wire (compact)
replies    values and faults to responses, responses to bytes
hooks      what the engine asks of the house: admit, handle, unit, settle, commit
bounds     the limits of one engine
readiness, backlog  which sockets are ready, and which of them are served first
timers, helpers, parking, outbox, intake, streaming: the parts of a turn
listener   a socket to listen on that somebody hands over
loop       what all connections of one engine share
wire, answers, connection: one client, its socket and state, how it is answered, how its bytes become requests
engine     the listener and the turn
Nothing here knows a task, a job or a route.
"""
