"""Checkpoints of the public PyTorch code become runs."""
