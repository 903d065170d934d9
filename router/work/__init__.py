"""Hands: make happen what judgement decided, through the store's one door. Nothing here judges, speaks HTTP or touches a socket."""
