"""Finds the faces and voices of a table of videos, and stores them for training.

    python -m pipelines.preprocess --manifest=manifest.csv --output_dir=OUT --name=demo

The table is a manifest, which pipelines.build_manifest writes. A face that is followed
through a video is a track; videos.csv in OUT says what became of each video. Run the
same command again to go on after it was stopped. Options of Apache Beam, such as
--runner and --direct_num_workers, are passed on to it.
"""

import dataclasses

from tfmds import spec
from tfmds.common import app
from tfmds.common.errors import InputError
from tfmds.common.flags import FOLDER, REQUIRED, setting
from tfmds.preprocessing.config import STILLS, PreprocessingConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreprocessConfig:
    """What to preprocess, and where the data set goes."""

    manifest: str = setting(
        REQUIRED, "The table of videos, as pipelines.build_manifest writes it."
    )
    output_dir: str = setting(REQUIRED, "Where the data set is made.", writes=FOLDER)
    name: str = setting("videos", "Name that the files begin with.")
    num_shards: int = setting(
        0, "Files of each split; 0: by its number of videos.", low=0
    )
    crop_size: int = setting(
        spec.ChunkSpec.crop_size,
        "Side of the stored face crops in pixels. For a network that sees less, 112"
        " takes less room and is read faster; a model fits data of its own size only.",
        low=32,
    )
    pictures: int = setting(
        0,
        "Makes records of single faces, for tfmds.train --network=picture: so many"
        " pictures of each 10 s of a track, spread over them. Sound is not needed"
        " then, and a manifest may list pictures. 0: tracks with their sound.",
        low=0,
        high=300,
    )
    stills: str = setting(
        "tight",
        "With --pictures: whether the pictures of the manifest were cut to the face, or"
        " the face is to be looked for in them.",
        choices=STILLS,
    )


def main(config: PreprocessConfig, preprocessing: PreprocessingConfig) -> None:
    """Flags to one data set."""
    from pipelines import record_files

    rows = record_files.preprocess(
        config.manifest,
        config.output_dir,
        config.name,
        config.num_shards,
        dataclasses.replace(
            preprocessing, pictures=config.pictures, stills=config.stills
        ),
        app.foreign_flags(),
        spec.ChunkSpec(crop_size=config.crop_size),
    )
    print(record_files.describe(rows))
    if not any(row.status == spec.OK for row in rows):
        raise InputError(
            f"{config.output_dir}: none of the {len(rows)} videos can be used, for"
            " the reasons above"
        )
    print(
        f"The data set is in {config.output_dir}, its face crops of {config.crop_size}"
        " pixels"
    )
    next_step = app.command("pipelines.inspect", f"--data_dir={config.output_dir}")
    print(f"Next: {next_step}")


def flags_of_beam(words: list[str]) -> list[str]:
    """Those of the words that are flags of Apache Beam."""
    if not words:
        return []
    # Beam starts in seconds: only who gives it flags waits for it here.
    from pipelines import beam_runner

    return beam_runner.flags_of(words)


if __name__ == "__main__":
    app.run(main, foreign=flags_of_beam)
