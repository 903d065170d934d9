"""The simulator: the real program on one thread; a seed governs disk, clock, network and workers. docs/SIMULATION.md tells how to use it."""
