"""A program that shows how far it is."""

from tfmds.common import app, progress


def main() -> None:
    """Counts to three."""
    for _ in progress.bar(range(3)):
        pass


if __name__ == "__main__":
    app.run(main)
