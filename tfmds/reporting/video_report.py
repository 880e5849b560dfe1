"""A folder with a page for each judged video, and one that lists them."""

import dataclasses
import itertools
import os
from collections.abc import Iterable, Mapping

from tfmds.judgement.judgement import VideoJudgement
from tfmds.reporting import video_page


class VideoReport:
    """Pages of videos as they are judged."""

    def __init__(self, folder: os.PathLike | str, provenance: Mapping[str, str]):
        """Begins a report.

        Args:
          folder: Where the pages go.
          provenance: How the judgements were made, as rows of a table.
        """
        self._folder = folder
        self._provenance = dict(provenance)
        self._judgements: list[VideoJudgement] = []

    def add(self, judgement: VideoJudgement) -> None:
        """Writes the page of a video."""
        video_page.write_video_page(self._folder, judgement, self._provenance)
        # The faces of many videos would fill the memory.
        chunks = (dataclasses.replace(c, face_jpeg=b"") for c in judgement.chunks)
        self._judgements.append(dataclasses.replace(judgement, chunks=tuple(chunks)))

    def write_index(self, judgements: Iterable[VideoJudgement] | None = None) -> str:
        """Writes the page that lists the videos; returns its path, empty without any.

        Args:
          judgements: Those to list, where there are more than were added.
        """
        listed = iter(self._judgements if judgements is None else judgements)
        first = next(listed, None)
        if first is None:
            return ""
        listed = itertools.chain([first], listed)
        return str(video_page.write_index_page(self._folder, listed, self._provenance))
