"""Draws the demo data set: talking heads with a voice, real and forged.

    python -m pipelines.synthesize --output_dir=/tmp/demo --num_identities=4 --seed=1

The clips and their metadata.json lie as those of DFDC do, so that
pipelines.build_manifest --layout=dfdc takes them. Stopped and started again with the
same flags, it goes on where it was.
"""

import dataclasses

from pipelines.synthesis.config import SynthesisConfig
from tfmds.common import app
from tfmds.common.flags import FOLDER, REQUIRED, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class SynthesizeConfig:
    """Where the clips go, and who makes them."""

    output_dir: str = setting(
        REQUIRED, "New or empty folder for the clips.", writes=FOLDER
    )
    num_workers: int = setting(0, "Processes; 0 is one a core.", low=0)


def main(config: SynthesizeConfig, synthesis: SynthesisConfig) -> None:
    """Makes the clips and says what to do next."""
    from pipelines.synthesis import clips, corpus

    metadata = corpus.make(config.output_dir, synthesis, config.num_workers)
    following = app.command(
        "pipelines.build_manifest",
        "--layout=dfdc",
        f"--input_dir={metadata.parent}",
        f"--output={metadata.parent / 'manifest.csv'}",
    )
    print(
        f"{len(clips.plan(synthesis))} clips of {synthesis.num_identities} people in"
        f" {metadata.parent}. Next:\n  {following}"
    )


if __name__ == "__main__":
    app.run(main)
