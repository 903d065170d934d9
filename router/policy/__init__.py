"""Judgement: what should happen, as pure functions from facts to a `Decision` with a reason. No store, no clock, no disk, no socket."""
