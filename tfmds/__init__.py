"""Deepfake detection by audio-visual dissonance (modality dissonance score, MDS)."""

# Paths of s3:// and the like are to be understood wherever one is given.
from tfmds.common import remote_paths as _remote_paths  # noqa: F401
