"""Floor 1, what is true: records, the law of their moves, and how they reach the disk. Knows nothing of skills, workers or HTTP."""
