"""Tests of floor 2: how skill folders are read, checked, compiled, cached and matched."""
