"""Videos from anywhere become verdicts."""
