"""FLOOR 3: who can do the work. Messages and leases on the server's side; the whole life of a worker on the other.

protocol    the shapes of messages; both sides import it
client      one persistent HTTP connection to the server            bundles   content by hash: fetched, verified, kept
agent       a worker's life: registers, polls, beats, delivers      runner    runs attempts in warm runners and run processes
keeper      the parent of every process of a worker                 runner_child, step   what lives in a warm runner process
fetch       the `http` step                                         pyz       the worker as one file
The worker's side imports the standard library, `state.{errors,limits,log,clock}`, `skills.bundle` and `fleet`: never the store or the router.
"""
