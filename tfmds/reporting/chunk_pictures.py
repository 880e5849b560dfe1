"""Pictures of chunks: what the network is shown, and distances of mouths to voices."""

import base64
from collections.abc import Sequence

import altair as alt
import cv2
import numpy as np

from tfmds import spec
from tfmds.reporting import charts
from tfmds.reporting.charts import FAKE, REAL, data

_NUM_FRAMES = 6
# Of a frame, in pixels, and of the MFCC beside them.
_SIDE, _MFCC_WIDTH, _TITLE_HEIGHT = 90, 220, 22
_BY_CLASS = alt.Scale(domain=["real", "fake"], range=[REAL, FAKE])


def chunks(
    frames: np.ndarray, mfcc: np.ndarray, label: np.ndarray, titles: Sequence[str]
) -> bytes:
    """Some frames and the MFCC of each chunk under its title, as a PNG.

    Args:
      frames: uint8 `[n, t, s, s, 3]`.
      mfcc: float32 `[n, 13, 99]`.
      label: int `[n]`, 1 real, 0 fake.
      titles: One for each chunk.
    """
    shown = np.linspace(0, frames.shape[1] - 1, _NUM_FRAMES).astype(int)
    pictures, words = [], []
    for number, (video, sound) in enumerate(zip(frames, mfcc, strict=True)):
        top = number * (_SIDE + 2 * _TITLE_HEIGHT)
        word = spec.LABEL_WORDS[int(label[number])]
        words.append({"y": top, "text": f"{word}, {titles[number]}", "is": word})
        for column, picture in enumerate([*video[shown], _coloured(sound[1:])]):
            width = _SIDE if column < _NUM_FRAMES else _MFCC_WIDTH
            url = _url(cv2.resize(picture, (width, _SIDE)))
            place = {"x": column * (_SIDE + 4), "y": top + _TITLE_HEIGHT}
            pictures.append({**place, "url": url, "width": width})
    x, y = alt.X("x:Q", axis=None).scale(None), alt.Y("y:Q", axis=None).scale(None)
    # A mark has one width, so frames and MFCC are layers of their own.
    layers = [
        alt.Chart(data(p for p in pictures if p["width"] == width))
        .mark_image(width=width, height=_SIDE, align="left", baseline="top")
        .encode(x, y, url="url:N")
        for width in (_SIDE, _MFCC_WIDTH)
    ]
    text = (
        alt.Chart(data(words))
        .mark_text(align="left", baseline="top", dy=4)
        .encode(
            y,
            x=alt.value(0),
            text="text:N",
            color=alt.Color("is:N", scale=_BY_CLASS, legend=None),
        )
    )
    return charts.to_png(
        alt.layer(*layers, text).properties(
            width=_NUM_FRAMES * (_SIDE + 4) + _MFCC_WIDTH,
            height=max(len(frames), 1) * (_SIDE + 2 * _TITLE_HEIGHT),
        )
    )


def pairwise(distance: np.ndarray, label: np.ndarray) -> bytes:
    """Distance of each mouth of a batch to each voice, as a PNG.

    Args:
      distance: float `[n, n]`, of each mouth to each voice; own ones on the diagonal.
      label: int `[n]`, 1 real, 0 fake.
    """
    rows = [
        {"mouth": mouth, "voice": voice, "distance": float(distance[mouth, voice])}
        for mouth, voice in np.ndindex(distance.shape)
    ]
    classes = [
        {"mouth": mouth, "is": spec.LABEL_WORDS[int(of_mouth)]}
        for mouth, of_mouth in enumerate(label)
    ]
    mouth = alt.Y("mouth:O", title="mouth of chunk").axis(labels=False, ticks=False)
    cells = (
        alt.Chart(data(rows))
        .mark_rect()
        .encode(
            alt.X("voice:O", title="voice of chunk").axis(labels=False, ticks=False),
            mouth.axis(titlePadding=34),
            alt.Color("distance:Q").scale(scheme="viridis", reverse=True),
        )
    )
    names = (
        alt.Chart(data(classes))
        .mark_text(align="right", fontSize=9, dx=-4)
        .encode(
            mouth,
            x=alt.value(0),
            text="is:N",
            color=alt.Color("is:N", scale=_BY_CLASS, legend=None),
        )
    )
    return charts.to_png(
        alt.layer(cells, names)
        .resolve_scale(color="independent")
        .properties(
            title="Mouths against voices of a validation batch", width=420, height=420
        )
    )


def _coloured(values: np.ndarray) -> np.ndarray:
    """Values `[h, w]` from dark to light, the first row at the bottom."""
    low, high = values.min(), values.max()
    grey = ((values - low) / (high - low or 1) * 255).astype(np.uint8)
    coloured = cv2.applyColorMap(grey[::-1], cv2.COLORMAP_VIRIDIS)
    return cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB)


def _url(picture: np.ndarray) -> str:
    _, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return "data:image/png;base64," + base64.b64encode(png.tobytes()).decode()
