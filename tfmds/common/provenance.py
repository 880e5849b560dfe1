"""What results were made with."""

import importlib.metadata


def versions(*packages: str) -> str:
    """The versions of these packages and of ours, for a reader."""
    return ", ".join(
        f"{p} {importlib.metadata.version(p)}" for p in ("tfmds", *packages)
    )
