"""Adds copies of the training videos to a manifest, as videos reach people.

    python -m pipelines.vary --manifest=VIDEOS/manifest.csv --output=VIDEOS/varied.csv

Each copy has the size, light, frame rate, codec, room and noise of a phone, a video
call or a messenger (see pipelines/variants.py). The new manifest holds all rows of the
old one and a row for each copy, of the same group; the copies lie in a folder beside
it that is called as it is. Stopped, the same command goes on.
"""

import dataclasses
import os
import pathlib
import sys
import zlib

import av
import numpy as np

from pipelines import variants
from tfmds.common import app, flags, progress
from tfmds.common.errors import InputError
from tfmds.common.flags import setting
from tfmds.data import manifest
from tfmds.data.manifest import Video


@dataclasses.dataclass(frozen=True, kw_only=True)
class VariationConfig:
    """What is copied, where to, and how often."""

    manifest: str = setting(flags.REQUIRED, "The manifest.")
    output: str = setting(
        flags.REQUIRED, "The new manifest, beside the old one.", writes=flags.FILE
    )
    copies: int = setting(2, "Copies of each training video.", low=1)
    seed: int = setting(0, "Chooses how the copies differ.")


def copy_id(video: Video, number: int) -> str:
    """What a copy is called."""
    return f"{video.video_id}.{number}"


def copy(video: Video, config: VariationConfig, number: int) -> Video | None:
    """Writes a copy of a video where it is not there yet; None where it cannot be."""
    folder = pathlib.Path(config.output).parent
    name = f"{pathlib.Path(config.output).stem}/{copy_id(video, number)}.mkv"
    if not (folder / name).exists():
        seed = zlib.crc32(f"{config.seed} {name}".encode())
        source = manifest.resolve(config.manifest, video)
        try:
            with av.open(os.fspath(source)) as container:
                height = container.streams.video[0].height
            variant = variants.draw(np.random.default_rng(seed), height)
            variants.write(source, folder / name, variant)
        except (OSError, ValueError, IndexError) as e:
            print(f"no copy of {video.video_id}: {e}", file=sys.stderr)
            return None
    return dataclasses.replace(video, video_id=copy_id(video, number), path=name)


def main(config: VariationConfig) -> None:
    """Writes the copies and the new manifest."""
    old, new = (pathlib.Path(p).resolve() for p in (config.manifest, config.output))
    if old.parent != new.parent or old == new:
        raise InputError(
            f"--output={config.output}: expected another file in the folder of"
            f" {config.manifest}, since paths in a manifest are relative to it"
        )
    videos = manifest.read_manifest(config.manifest)
    train = [video for video in videos if video.split == "train"]
    taken = {video.video_id for video in videos}
    for video in train:
        for number in range(1, config.copies + 1):
            name = copy_id(video, number)
            manifest.check_inside(name, config.manifest)
            if name in taken:
                raise InputError(
                    f"{config.manifest} has a video {name} already, which is what a"
                    f" copy of {video.video_id} is called; vary the manifest of the"
                    " originals, with more --copies"
                )
    copies = [
        copy(video, config, number)
        for video in progress.bar(train, unit="video")
        for number in range(1, config.copies + 1)
    ]
    rows = [*videos, *filter(None, copies)]
    manifest.write_manifest(config.output, rows)
    print(
        f"{len(rows)} videos in {config.output}, {len(rows) - len(videos)} of them new"
    )


if __name__ == "__main__":
    app.run(main)
