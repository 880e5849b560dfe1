"""Deepfake detection by audio-visual dissonance (modality dissonance score, MDS)."""
