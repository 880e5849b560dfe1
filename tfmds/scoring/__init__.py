"""A model and a data set become scores."""
