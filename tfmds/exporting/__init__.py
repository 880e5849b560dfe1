"""A trained model becomes one that others can run."""
