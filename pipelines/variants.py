"""Copies of videos as they reach people: smaller, re-encoded, in another room's sound.

A network that is to hold on strangers' recordings must see mouths at the rates and
qualities of phones, video calls and messengers. Copies keep the mouth and the voice in
step, so each is one more recording of the same speech.
"""

import dataclasses
import os
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.container import OutputContainer
from av.filter import Graph
from av.filter.context import FilterContext
from etils import epath

# Filters by name with their arguments, one after the other.
Chain = list[tuple[str, str]]

_FRAME_RATES = (15, 20, 24, 25, 30, 50, 60)
_SOUND_CODECS = {"libopus": (48_000, 12, 48), "aac": (44_100, 24, 96)}


@dataclasses.dataclass(frozen=True)
class Variant:
    """How a copy differs from its video.

    Attributes:
      pictures: Filters of the pictures.
      sound: Filters of the sound.
      noise: Amplitude of pink noise below it, 1 is full scale; 0 for none.
      frame_rate: Pictures a second.
      quality: Constant rate factor of H.264, higher is worse.
      sound_codec: Encoder of the sound.
      sound_rate: Its samples a second.
      sound_kbits: Its kilobits a second.
    """

    pictures: Chain
    sound: Chain
    noise: float
    frame_rate: int
    quality: int
    sound_codec: str
    sound_rate: int
    sound_kbits: int


def draw(rng: np.random.Generator, height: int) -> Variant:
    """Draws a variant of a video with pictures of this height."""

    def often(share: float) -> bool:
        return rng.random() < share

    smallest = min(1.0, 240 / height)
    scale = rng.uniform(max(smallest, 0.5), 1.0)
    rate = int(rng.choice(_FRAME_RATES))
    pictures = [
        # What is dropped or doubled lies where a player would have it.
        ("fps", f"{rate}:round=near"),
        ("scale", f"trunc(iw*{scale:.3f}/2)*2:trunc(ih*{scale:.3f}/2)*2"),
    ]
    if often(0.6):
        gamma, saturation = rng.uniform((0.6, 0.3), (1.5, 1.5))
        pictures.append(("lutyuv", f"y=gammaval({gamma:.2f})"))
        pictures.append(("hue", f"h={rng.uniform(-12, 12):.0f}:s={saturation:.2f}"))
    if often(0.3):
        pictures.append(("gblur", f"sigma={rng.uniform(0.5, 1.5):.2f}"))
    if often(0.3):
        pictures.append(("noise", f"alls={rng.integers(4, 16)}:allf=t"))
    pictures.append(("format", "yuv420p"))

    sound = []
    if often(0.5):
        # A room: two early reflections and their decay.
        near, far = rng.uniform(8, 25), rng.uniform(30, 70)
        first, second = rng.uniform(0.2, 0.5), rng.uniform(0.1, 0.3)
        sound.append(
            ("aecho", f"0.9:0.8:{near:.0f}|{far:.0f}:{first:.2f}|{second:.2f}")
        )
    if often(0.3):
        sound.append(("highpass", f"f={rng.integers(100, 350)}"))
        sound.append(("lowpass", f"f={rng.integers(3000, 5000)}"))
    if often(0.3):
        sound.append(("equalizer", f"f={rng.integers(300, 4000)}:w=1:g={_db(rng, 8)}"))
    if often(0.3):
        sound.append(("acompressor", "threshold=0.1:ratio=6:attack=5:release=100"))
    sound.append(("volume", f"{_db(rng, 10)}dB"))
    codec = str(rng.choice(list(_SOUND_CODECS)))
    sample_rate, low, high = _SOUND_CODECS[codec]
    noise = rng.uniform(0.001, 0.03) if often(0.5) else 0.0
    return Variant(
        pictures,
        sound,
        noise,
        rate,
        int(rng.integers(23, 38)),
        codec,
        sample_rate,
        int(rng.integers(low, high + 1)),
    )


def _db(rng: np.random.Generator, most: float) -> str:
    return f"{rng.uniform(-most, most):.1f}"


def write(
    source: os.PathLike | str, target: os.PathLike | str, variant: Variant
) -> None:
    """Writes the copy of a video as Matroska, whole or not at all.

    Raises:
      av.FFmpegError: The video cannot be read.
      ValueError: It has no pictures or no sound.
    """
    target = epath.Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{target.name}.partial"
    with (
        av.open(os.fspath(source)) as read,
        av.open(os.fspath(partial), "w", format="matroska") as wrote,
    ):
        if not read.streams.video or not read.streams.audio:
            raise ValueError("no pictures or no sound")
        picture, sound = read.streams.video[0], read.streams.audio[0]
        picture.thread_type = "AUTO"
        shown = _picture_encoder(wrote, variant)
        heard = _sound_encoder(wrote, variant)
        picture_graph = _picture_graph(picture, variant)
        sound_graph = _sound_graph(sound, variant)
        waiting: list[av.AudioFrame] = []

        def encode() -> None:
            for frame in _pulled(picture_graph):
                assert isinstance(frame, av.VideoFrame)
                if not shown.width:
                    shown.width, shown.height = frame.width, frame.height
                wrote.mux(shown.encode(frame))
            for frame in _pulled(sound_graph):
                assert isinstance(frame, av.AudioFrame)
                waiting.append(frame)
            # The header is written with the first packet, so the size must be known.
            if shown.width:
                for sample in waiting:
                    wrote.mux(heard.encode(sample))
                waiting.clear()

        for packet in read.demux(picture, sound):
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    picture_graph.push(frame)
                elif isinstance(frame, av.AudioFrame):
                    sound_graph.push(frame)
                encode()
        for graph in (picture_graph, sound_graph):
            graph.push(None)
            encode()
        for stream in (shown, heard):
            wrote.mux(stream.encode(None))
    partial.replace(target)


def _chain(
    graph: Graph, start: FilterContext, chain: Chain, sink: str
) -> list[FilterContext]:
    nodes = [start, *(graph.add(name, words) for name, words in chain)]
    return [*nodes, graph.add(sink)]


def _picture_graph(stream: av.VideoStream, variant: Variant) -> Graph:
    graph = Graph()
    source = graph.add_buffer(template=stream)
    graph.link_nodes(*_chain(graph, source, variant.pictures, "buffersink")).configure()
    return graph


def _sound_graph(stream: av.AudioStream, variant: Variant) -> Graph:
    graph = Graph()
    source = graph.add_abuffer(template=stream)
    end: Chain = [
        ("aresample", f"{variant.sound_rate}"),
        ("aformat", "sample_fmts=fltp:channel_layouts=mono"),
    ]
    if not variant.noise:
        nodes = _chain(graph, source, [*variant.sound, *end], "abuffersink")
        graph.link_nodes(*nodes).configure()
        return graph
    words = f"color=pink:amplitude={variant.noise:.4f}:r={variant.sound_rate}:seed=1"
    noise = graph.add("anoisesrc", words)
    mix = graph.add("amix", "inputs=2:duration=first:normalize=0")
    nodes = [source, *(graph.add(*step) for step in [*variant.sound, *end])]
    graph.link_nodes(*nodes)
    nodes[-1].link_to(mix, 0, 0)
    noise.link_to(mix, 0, 1)
    graph.link_nodes(mix, graph.add("aformat", end[1][1]), graph.add("abuffersink"))
    graph.configure()
    return graph


def _picture_encoder(container: OutputContainer, variant: Variant) -> av.VideoStream:
    stream = container.add_stream("libx264", rate=Fraction(variant.frame_rate))
    stream.width = stream.height = 0
    stream.pix_fmt = "yuv420p"
    stream.options = {
        "crf": str(variant.quality),
        "preset": "veryfast",
        # With macroblock trees two runs may differ.
        "x264-params": "mbtree=0",
    }
    return stream


def _sound_encoder(container: OutputContainer, variant: Variant) -> av.AudioStream:
    stream = container.add_stream(
        variant.sound_codec, rate=variant.sound_rate, layout="mono"
    )
    assert isinstance(stream, av.AudioStream)
    stream.bit_rate = 1000 * variant.sound_kbits
    return stream


def _pulled(graph: Graph) -> Iterator[av.VideoFrame | av.AudioFrame]:
    while True:
        try:
            yield graph.pull()
        except (BlockingIOError, EOFError):
            return
