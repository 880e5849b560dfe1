"""What a demo data set consists of."""

import dataclasses

from tfmds.common.flags import setting


@dataclasses.dataclass(frozen=True)
class SynthesisConfig:
    """What a demo data set consists of; the same settings give the same bytes."""

    num_identities: int = setting(
        32, "Drawn people; all clips of one are on the same side.", low=1
    )
    seed: int = setting(0, "The same seed and flags give the same bytes.", low=0)
    seconds: float = setting(
        4.0, "Shortest clip; others last up to half a second more.", low=2.0
    )
    height: int = setting(270, "Lines of the picture; most are 16:9.", low=180)
    reals_per_identity: int = setting(2, "Real clips of each person.", low=1)
    fakes_per_manipulation: int = setting(
        1,
        "Clips of each person with a swapped face, with a swapped voice, and with"
        " another mouth; every fourth is forged in a part only.",
        low=0,
    )
    distractors: float = setting(
        0.0,
        "Share of the clips over whose picture faces, words and shapes fly; most of"
        " them are flipped, turned, blurred, darker or of a lower frame rate, too.",
        low=0,
        high=1,
    )
