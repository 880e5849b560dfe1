"""The two-stream network and its losses; keras and keras.ops only."""
