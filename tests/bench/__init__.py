"""Tests of the benches: what they ask and how they count. What they measure is for who runs them."""
