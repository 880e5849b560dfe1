"""Draws the demo data set: talking heads with a voice, real and forged, as in DFDC.

    python -m pipelines.synthesize --output_dir=/tmp/demo --num_identities=4 --seed=1

Stopped and started again with the same flags, it goes on where it was.
"""

from absl import flags

from pipelines.synthesis import clips, data_set
from tfmds.common import app

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "New or empty folder for the clips.", required=True
)
_NUM_IDENTITIES = flags.DEFINE_integer(
    "num_identities", 32, "People, each a group of its own.", lower_bound=1
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "The same seed and flags give the same bytes.", lower_bound=0
)
_SECONDS = flags.DEFINE_float(
    "seconds",
    4.0,
    "Shortest clip; others last up to half a second more.",
    lower_bound=2.0,
)
_HEIGHT = flags.DEFINE_integer(
    "height", 270, "Lines of the picture; most are 16:9.", lower_bound=180
)
_REALS = flags.DEFINE_integer(
    "reals_per_identity", 2, "Real clips of each person.", lower_bound=1
)
_FAKES = flags.DEFINE_integer(
    "fakes_per_manipulation",
    1,
    "Clips of each person with a swapped face, with a swapped voice, and with another"
    " mouth; every fourth is forged in a part only.",
    lower_bound=0,
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", 0, "Processes; 0 is one a core.", lower_bound=0
)


def main() -> None:
    """Makes the clips and says what to do next."""
    settings = clips.Settings(
        num_identities=_NUM_IDENTITIES.value,
        seed=_SEED.value,
        seconds=_SECONDS.value,
        height=_HEIGHT.value,
        reals_per_identity=_REALS.value,
        fakes_per_manipulation=_FAKES.value,
    )
    metadata = data_set.make(_OUTPUT_DIR.value, settings, _NUM_WORKERS.value)
    print(
        f"{len(clips.plan(settings))} clips of {settings.num_identities} people in"
        f" {metadata.parent}. Next:\n"
        f"  python -m pipelines.build_manifest --layout=dfdc"
        f" --input_dir={metadata.parent} --output={metadata.parent / 'manifest.csv'}"
    )


if __name__ == "__main__":
    app.run(main)
