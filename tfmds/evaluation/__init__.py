"""Distances become judgements; NumPy and scikit-learn, no TensorFlow."""
