r"""Makes the manifest of a data set: a row per video, split by group.

    python -m pipelines.build_manifest --layout=dfdc --input_dir=/tmp/demo \
        --output=/tmp/demo/manifest.csv

The split is the same for the same seed, and says what each split got. With --dry_run
it is only told: what would be taken, where to, and what is left out and why.
"""

import dataclasses
import sys

from pipelines import layouts, manifests
from pipelines.layouts import splits
from tfmds.common import app
from tfmds.common.flags import FILE, REQUIRED, setting
from tfmds.data import manifest


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildManifestConfig:
    """Which data set, and how it is split."""

    layout: str = setting(REQUIRED, f"One of {', '.join(layouts.LAYOUTS)}.")
    input_dir: str = setting(REQUIRED, "Folder of the data set.")
    output: str = setting(
        REQUIRED,
        "The manifest, a .csv in input_dir or in a folder above it.",
        writes=FILE,
    )
    split_fractions: tuple[str, ...] = setting(
        ("0.6", "0.15", "0.25"),
        "Shares of train, validation and test. A split that the data set states is"
        " kept; where it lacks validation, that is taken from train.",
    )
    seed: int = setting(0, "Chooses which group goes where.")
    train_list: str | None = setting(
        None,
        "DFDC: a list of fakes for training, a line such as"
        " aaabbbcccd.dfdc_train_part_03 each. Their originals go with them, what is in"
        " no list is left out.",
    )
    test_list: str | None = setting(
        None, "DFDC: a list of fakes for the test, as --train_list."
    )
    audio_altered: str | None = setting(
        None,
        "DFDC: a table of fakes with the columns train_mp4 and audio_altered; says"
        " which stream of a fake was forged.",
    )
    dry_run: bool = setting(
        False, "Prints what the manifest would hold and writes nothing."
    )


def main(config: BuildManifestConfig) -> None:
    """Writes the manifest and says what is in it."""
    videos, found = manifests.build(
        config.layout,
        config.input_dir,
        config.output,
        splits.parse_fractions(config.split_fractions),
        config.seed,
        config.train_list,
        config.test_list,
        config.audio_altered,
    )
    if config.dry_run:
        print(manifests.listing(videos, found))
    else:
        manifest.write_manifest(config.output, videos)
    print(manifests.table(videos))
    for line in manifests.warnings(videos, found):
        print(f"warning: {line}", file=sys.stderr)
    if config.dry_run:
        print(f"{len(videos)} videos would be in {config.output}; nothing was written")
    else:
        print(f"{len(videos)} videos in {config.output}")
        words = f"--manifest={config.output}", "--output_dir=DATA", "--name=NAME"
        print(f"Next: {app.command('pipelines.preprocess', *words)}")


if __name__ == "__main__":
    app.run(main)
