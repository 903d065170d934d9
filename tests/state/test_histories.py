"""Histories: every move is held against the law, from the birth of a job to its state."""

from state.histories import unlawful
from tests.kit import same
from tests.state.builders import FilePlace, ended


def test_every_move_of_a_history_is_held_against_the_law() -> None:
    place = FilePlace()
    store = place.open()
    job = store.jobs[ended(store)]
    same(list(unlawful(job)), [])
    born, leased, begun, settled, end = job.history
    for moves in (
        (born, begun, settled, end), (leased, begun, settled, end), (born, leased, begun, settled), (born, leased, leased, begun, settled, end),
        (born._replace(to="done"), leased, begun, settled, end), (born, born, leased, begun, settled, end), (),
        (born, leased, begun, settled._replace(to="skipped"), end), (born, leased, begun, settled, end._replace(at=1.0)),
        (born, leased, begun, settled, settled._replace(of="s9", from_state="ready", to="leased"), end),
    ):
        numbered = tuple(move._replace(n=n) for n, move in enumerate(moves, 1))
        assert list(unlawful(job._replace(history=numbered, last_n=len(numbered)))), moves
    for wrong in (job._replace(state="failed"), job._replace(steps=(job.steps[0]._replace(attempt=2),)), job._replace(history=job.history[::-1])):
        assert list(unlawful(wrong)), wrong
    same(list(unlawful(job._replace(history=(born, settled, end)))), [])           # what is missing may have been anything lawful
