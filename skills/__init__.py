"""Floor 2, what we can do: skill folders read, checked, compiled, cached and matched. Knows nothing of workers, jobs or HTTP."""
