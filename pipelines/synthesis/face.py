"""What a person looks like. Lengths are in face units: chin to eyes is about 1.1."""

import dataclasses

import numpy as np

Colour = tuple[float, float, float]

_SKINS = (
    (222, 182, 158),
    (212, 168, 140),
    (205, 158, 124),
    (184, 134, 100),
    (158, 112, 84),
    (126, 88, 66),
)
_HAIRS = (
    (28, 24, 22),
    (58, 40, 28),
    (96, 66, 40),
    (150, 108, 62),
    (182, 148, 96),
    (124, 66, 42),
    (132, 130, 128),
)
_IRISES = ((70, 46, 30), (96, 72, 44), (84, 110, 92), (88, 120, 150), (50, 36, 28))


@dataclasses.dataclass(frozen=True)
class Face:
    """A person's face, hair and what is worn on it."""

    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    # Half the width at the cheekbones.
    cheek: float
    # How square the jaw is: 2 is pointed, 4 square.
    jaw: float
    eye_distance: float
    eye_height: float
    eye_width: float
    eye_opening: float
    brow_height: float
    brow_thickness: float
    brow_slope: float
    nose_length: float
    nose_width: float
    nose_height: float
    mouth_height: float
    mouth_width: float
    # How far this mouth opens at most.
    mouth_gap: float
    upper_lip: float
    lower_lip: float
    # Where the hair begins on the forehead, and how far it falls at the sides.
    hairline: float
    hair_volume: float
    hair_length: float
    parting: float
    # 0 shaven, 1 full beard.
    beard: float
    moustache: float
    # 0 none, else the thickness of the frame.
    glasses: float
    glasses_round: float
    glasses_colour: Colour
    # Seeds the skin's and the hair's texture.
    texture: int


def draw_face(rng: np.random.Generator) -> Face:
    """A person, drawn without regard to any voice."""
    tone = rng.integers(len(_SKINS))
    skin = np.clip(
        np.array(_SKINS[tone]) * rng.normal(1, 0.05) * rng.normal(1, 0.015, 3), 20, 245
    )
    # Dark skin comes with the darker hair, the first of the list, or with grey.
    hairs = _HAIRS if tone < 3 else (*_HAIRS[:3], _HAIRS[-1])
    hair = (
        np.array(hairs[rng.integers(len(hairs))])
        * rng.normal(1, 0.1)
        * rng.normal(1, 0.015, 3)
    )
    bearded = rng.uniform() < 0.3
    lips = skin * rng.uniform(0.72, 0.9) * np.array([1.0, 0.66, 0.68])
    return Face(
        skin=_colour(skin),
        hair=_colour(hair),
        iris=_IRISES[rng.integers(len(_IRISES))],
        lips=_colour(
            np.clip(lips + [rng.uniform(0, 40), 0, rng.uniform(0, 12)], 0, 250)
        ),
        cheek=rng.uniform(0.73, 0.81),
        jaw=rng.uniform(2.1, 3.4),
        eye_distance=rng.uniform(0.335, 0.375),
        eye_height=rng.uniform(-0.18, -0.13),
        eye_width=rng.uniform(0.145, 0.18),
        eye_opening=rng.uniform(0.065, 0.095),
        brow_height=rng.uniform(0.17, 0.23),
        brow_thickness=rng.uniform(0.03, 0.065),
        brow_slope=rng.uniform(-0.03, 0.06),
        nose_length=rng.uniform(0.25, 0.3),
        nose_width=rng.uniform(0.1, 0.15),
        nose_height=rng.uniform(0.2, 0.3),
        mouth_height=rng.uniform(0.53, 0.57),
        mouth_width=rng.uniform(0.25, 0.31),
        mouth_gap=rng.uniform(0.21, 0.29),
        upper_lip=rng.uniform(0.045, 0.075),
        lower_lip=rng.uniform(0.065, 0.105),
        hairline=rng.uniform(-0.82, -0.62),
        hair_volume=rng.uniform(0.04, 0.16),
        # Detectors are seldom shown long hair with a beard, and miss it.
        hair_length=rng.choice([-0.25, 0.0, 0.35, 0.9, 1.2][: 2 if bearded else 5])
        + rng.uniform(-0.1, 0.1),
        parting=rng.uniform(-0.4, 0.4),
        beard=rng.uniform(0.25, 0.85) * bearded,
        moustache=rng.uniform(0.3, 0.8) * (bearded and rng.uniform() < 0.7),
        glasses=rng.uniform(0.018, 0.04) * (rng.uniform() < 0.28),
        glasses_round=rng.uniform(0.25, 1.0),
        glasses_colour=_colour(rng.uniform(10, 90, 3)),
        texture=int(rng.integers(2**31)),
    )


def _colour(values: np.ndarray) -> Colour:
    red, green, blue = (float(v) for v in values)
    return red, green, blue
