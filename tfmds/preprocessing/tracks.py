"""A video becomes track segments, in one pass and with bounded memory."""

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tfmds import spec
from tfmds.data.data_set import MediaFacts
from tfmds.data.records import TrackSegment
from tfmds.preprocessing import faces, facts, shots, sources, stills
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.containers import MediaError, Unread
from tfmds.preprocessing.crops import TrackCrops
from tfmds.preprocessing.detector import shared_detector
from tfmds.preprocessing.held import Held, Stretch
from tfmds.preprocessing.media import Media
from tfmds.preprocessing.orientation import Upright
from tfmds.preprocessing.picture import Picture
from tfmds.preprocessing.sound import Sound

# Decoded pictures that are held and searched together.
_BATCH_FRAMES = 48
_BATCH_BYTES = 100_000_000
# The same where fewer would be held than lie between two searches, as of 4K: each batch
# is searched at its end, which costs more than holding them.
_LARGE_BATCH_BYTES = 320_000_000

# By how many quarters clockwise it has to be turned.
_HOW_IT_LIES = {
    1: "lies on its side, its top to the left",
    2: "stands on its head",
    3: "lies on its side, its top to the right",
}

Marked = tuple[Picture, bool]


@dataclasses.dataclass(frozen=True)
class Summary:
    """What became of a video.

    Attributes:
      status: One of `spec.STATUSES`.
      reason: Why it is not usable; where it is, what is to be known about it.
      seconds: Length of the picture that was looked at.
      tracks: Faces that were followed and kept.
      chunks: Whole seconds of these faces.
      seconds_without_face: What no kept track covers.
      unread: Stretches that were not looked at, and why.
      media: What its file is.
    """

    status: str
    reason: str = ""
    seconds: float = 0.0
    tracks: int = 0
    chunks: int = 0
    seconds_without_face: float = 0.0
    unread: tuple[Unread, ...] = ()
    media: MediaFacts = MediaFacts()

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Summary":
        """The inverse of `to_json`."""
        unread = tuple(Unread(*stretch) for stretch in fields["unread"])
        facts_of = MediaFacts(**fields["media"])
        return cls(**fields | {"unread": unread, "media": facts_of})


class TrackReader:
    """Finds, follows and cuts out the faces of a video, with the sound of their time.

    An iterable over `TrackSegment`, which come once the video was read to its end.
    Every face that meets the rules is a track of its own; `options.tracks` says
    which of them are kept. A video that cannot be used raises nothing: it yields no
    segments, and the summary tells why.

    Attributes:
      summary: What became of the video; stands when the iteration has ended.
    """

    def __init__(
        self,
        path: os.PathLike | str,
        options: PreprocessingConfig | None = None,
        *,
        chunk_spec: spec.ChunkSpec | None = None,
        sound_path: os.PathLike | str | None = None,
        num_threads: int = 0,
        on_progress: Callable[[float], None] = lambda _: None,
    ):
        """Names the video; nothing is read before the iteration.

        Args:
          path: The video, also in a zip archive: `part.zip/x.mp4`.
          options: How faces are found and stored.
          chunk_spec: Rates and sizes of what is made.
          sound_path: A file with the sound, where it is not in the video.
          num_threads: Threads that decode pictures, 0 for one a core.
          on_progress: Is told how many seconds of the video were read, now and then.
        """
        self._path = path
        self._options = options or PreprocessingConfig()
        self._spec = chunk_spec or spec.ChunkSpec()
        self._sound_path = sound_path
        self._num_threads = num_threads
        self._on_progress = on_progress
        self.summary = Summary(spec.DECODE_ERROR, "it was not read to its end")

    def __iter__(self) -> Iterator[TrackSegment]:
        return map(TrackSegment.from_bytes, self.packed())

    def packed(self) -> Iterator[bytes]:
        """The segments as `TrackSegment.to_bytes` makes them."""
        with Held(self._options, self._spec) as held:
            try:
                with sources.local_file(
                    self._path, self._options.max_video_bytes
                ) as path:
                    if self._options.pictures and stills.is_still(path):
                        segment, known = stills.read(path, self._options, self._spec)
                        self.summary = Summary(spec.OK, tracks=1, chunks=1, media=known)
                        yield segment.to_bytes()
                        return
                    summary = self._read_into(held, path)
            except MediaError as e:
                self.summary = Summary(e.status, e.reason)
                return
            self.summary = summary
            yield from held.packed()

    def _read_into(self, held: "Held", path: str) -> Summary:
        try:
            media = Media(
                path, self._spec, self._sound_path, self._num_threads, self._options
            )
        except MediaError as e:
            known = facts.read(path, self._sound_path)
            return Summary(e.status, e.reason, media=known)
        with media:
            followed = _Followed(media.sound, self._options, self._spec)
            pictures = shots.mark_cuts(media.pictures())
            for batch in _batches(pictures, self._options):
                held.add(_as_stored(followed.add(batch), media))
                self._on_progress(followed.seconds)
            held.add(_as_stored(followed.end(), media))
            held.choose()
            summary = followed.summarize(held.stretches, media)
            known = facts.read(path, media.sound.path, *media.indices)
            return dataclasses.replace(summary, media=known)


def _as_stored(
    segments: Iterable[TrackSegment], media: Media
) -> Iterator[TrackSegment]:
    """Segments whose boxes are in pixels of the file, also where it was scaled down."""
    for segment in segments:
        yield dataclasses.replace(segment, boxes=segment.boxes / media.scale)


def _batches(
    pictures: Iterator[Marked], options: PreprocessingConfig
) -> Iterator[list[Marked]]:
    """Pictures with their marks, as many as may be held at a time."""
    every = options.search_every
    for first in pictures:
        num_bytes = first[0].num_bytes()
        # Each batch is searched at its end: that should be where one is due anyway.
        size = min(_BATCH_FRAMES, _BATCH_BYTES // num_bytes) // every * every
        size = size or min(every, max(8, _LARGE_BATCH_BYTES // num_bytes))
        yield [first, *itertools.islice(pictures, size - 1)]


class _Followed:
    """The faces of a video, as far as it was read."""

    def __init__(
        self, sound: Sound, options: PreprocessingConfig, chunk_spec: spec.ChunkSpec
    ):
        self._sound = sound
        self._options = options
        self._spec = chunk_spec
        self._upright = Upright(shared_detector(), options)
        self._tracker = faces.Tracker(options)
        self._crops: list[TrackCrops] = []
        self._num_frames = 0
        # Of each frame, by which it was turned clockwise.
        self._quarters = bytearray()
        self._num_tracks = 0
        self._longest = 0
        self._largest = 0.0

    @property
    def seconds(self) -> float:
        """How much of the video was looked at."""
        return self._num_frames / self._spec.frame_rate

    def add(self, batch: Sequence[Marked]) -> Iterator[TrackSegment]:
        """Takes the next pictures; yields the segments that they complete."""
        start = self._num_frames
        self._num_frames += len(batch)
        pictures = [picture for picture, _ in batch]
        cuts = {i for i, (_, is_cut) in enumerate(batch, start) if is_cut}
        pictures, begins, found = self._upright.find(start, pictures, cuts)
        self._quarters += bytes(picture.quarters for picture in pictures)
        for i in range(start, self._num_frames):
            if i in begins:
                self._tracker.cut()
            if i in found:
                new = self._tracker.update(i, found[i])
                self._crops += [
                    TrackCrops(track, self._options, self._spec) for track in new
                ]
        for crops in self._crops:
            crops.add(start, pictures)
        yield from self._completed()
        rate = self._spec.sample_rate // self._spec.frame_rate
        needed = min([c.start for c in self._crops], default=self._num_frames)
        self._sound.forget(needed * rate - 1)

    def end(self) -> Iterator[TrackSegment]:
        """Yields what is left when there are no more pictures."""
        self._tracker.cut()
        yield from self._completed()

    def summarize(self, stretches: Sequence[Stretch], media: Media) -> Summary:
        """What became of the video, of which these stretches are kept."""
        seconds = self.seconds
        num_chunks = sum(s.length // self._spec.num_frames for s in stretches)
        covered = bytearray(self._num_frames)
        for s in stretches:
            covered[s.start : s.start + s.length] = b"\1" * s.length
        notes = [*media.notes, *self._notes(stretches), *map(str, media.unread)]
        status = spec.OK
        if not num_chunks and media.is_damaged:
            status = spec.DECODE_ERROR
        elif not num_chunks:
            status, reason = self._why_none(seconds)
            notes = [reason, *notes]
        return Summary(
            status=status,
            reason="; ".join(notes),
            seconds=round(seconds, 3),
            tracks=len({s.track for s in stretches}),
            chunks=num_chunks,
            seconds_without_face=round(covered.count(0) / self._spec.frame_rate, 3),
            unread=media.unread,
        )

    def _notes(self, stretches: Sequence[Stretch]) -> Iterator[str]:
        """What is to be known about faces that were kept, and others that were not."""
        rate = self._spec.frame_rate
        for quarters, how in _HOW_IT_LIES.items():
            lies = [s for s in stretches if self._quarters[s.start] == quarters]
            if not lies:
                continue
            when = ""
            if len(lies) < len(stretches):
                start = min(s.start for s in lies) / rate
                end = max(s.start + s.length for s in lies) / rate
                when = f" between {start:.1f} and {end:.1f} s"
            yield f"its picture {how}{when}, and was turned until faces were upright"
        tracker = self._tracker
        if tracker.left_out:
            yield (
                "more faces are in view than are followed at a time"
                f" ({self._options.max_tracks}, max_tracks), first at"
                f" {tracker.left_out_from / rate:.1f} s: the largest and longest were"
                f" looked at, {tracker.left_out} at least were not"
            )

    def _why_none(self, seconds: float) -> tuple[str, str]:
        options, rate = self._options, self._spec.frame_rate
        least = options.min_track_frames / rate
        if self._num_frames < options.min_track_frames:
            return spec.TOO_SHORT, (
                f"its picture lasts {seconds:.2f} s, a track needs at least"
                f" {least:.2f} s"
            )
        if not self._longest:
            return spec.NO_FACE, "no face was found in it"
        if self._longest < options.min_track_frames:
            return spec.NO_FACE, (
                f"no face is in view for longer than {self._longest / rate:.2f} s,"
                f" a track needs at least {least:.2f} s"
            )
        return spec.NO_FACE, (
            f"its largest face has {self._largest:.0f} pixels in the mean, at least"
            f" {options.min_face_size} are needed"
        )

    def _completed(self) -> Iterator[TrackSegment]:
        for crops in self._crops:
            for segment in crops.segments(self._sound):
                if crops.number is None:
                    crops.number = self._num_tracks
                    self._num_tracks += 1
                skipped = self._options.skip_leading_ms / 1000
                yield dataclasses.replace(
                    segment,
                    track=crops.number,
                    start_seconds=segment.start_seconds + skipped,
                )
            if crops.track.is_over:
                self._longest = max(self._longest, crops.num_known)
                if crops.num_known >= self._options.min_track_frames:
                    self._largest = max(self._largest, crops.mean_size)
        self._crops = [crops for crops in self._crops if not crops.track.is_over]
