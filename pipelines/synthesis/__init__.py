"""The demo data set: drawn talking heads with a voice, some of them forged."""
