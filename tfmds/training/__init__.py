"""A data set becomes a trained model."""
