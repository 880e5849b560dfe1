"""Manifests and track records on disk, and the tf.data pipeline over them."""
