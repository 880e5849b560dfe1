"""Uploads: from the network to a file, with limits, while they come."""

import asyncio
import dataclasses
import hashlib
import os
import pathlib
import re
import unicodedata
import urllib.parse
from typing import BinaryIO

import python_multipart
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from tfmds.serving import bodies, content
from tfmds.serving.bodies import Refused

# Seconds without a byte after which an upload is given up.
_PATIENCE = 60
_MAX_NAME = 120
# As RFC 6266 has it.
_EXTENDED_NAME = re.compile(rb"filename\*=UTF-8'[\w-]*'([^;\s]+)", re.IGNORECASE)
# What stays free on the disk, in bytes.
_SPARE = 500_000_000


@dataclasses.dataclass(frozen=True)
class Upload:
    """A file that was received.

    Attributes:
      name: What its owner calls it, to be shown.
      size: Bytes.
      digest: SHA-256.
      media_type: By its content.
    """

    name: str
    size: int
    digest: str
    media_type: str


async def receive(request: Request, path: pathlib.Path, max_bytes: int) -> Upload:
    """Writes the file of a request to disk.

    Takes the file as the body, with its name as `?name=`, or as the only file of a
    multipart form; gzip is unpacked.

    Raises:
      Refused: It is too large, no video, empty, broken off, or packed in another way.
    """
    stated = request.headers.get("content-length", "0")
    # A form is a little larger than the file in it.
    if stated.isdigit() and int(stated) > max_bytes + 10_000:
        raise _too_large(max_bytes)
    kind, options = parse_options_header(request.headers.get("content-type"))
    with open(path, "wb") as file:
        sink = _Sink(file, max_bytes)
        form = None
        if kind == b"multipart/form-data":
            form = _Form(options.get(b"boundary", b""))
        try:
            await _copy(request, sink, form)
            # The bytes must be there when the job says so.
            await run_in_threadpool(_to_disk, file)
        except OSError as e:
            raise Refused(507, "there is no room for the upload") from e
    name = form.name if form else request.query_params.get("name", "")
    return sink.end(clean_name(name))


async def _copy(request: Request, sink: "_Sink", form: "_Form | None") -> None:
    pieces = bodies.pieces(request)
    while True:
        try:
            piece = await asyncio.wait_for(pieces.__anext__(), _PATIENCE)
        except StopAsyncIteration:
            break
        except asyncio.TimeoutError as e:
            raise Refused(408, "the upload stopped coming") from e
        except ClientDisconnect as e:
            raise Refused(400, "the upload was broken off") from e
        data = form.feed(piece) if form else piece
        if data:
            await run_in_threadpool(sink.write, data)
    if form and not form.is_complete:
        raise Refused(400, "the form ends before its end, or has no file in it")


def clean_name(name: str) -> str:
    """A file's name to be shown: no folders, nothing that cannot be seen."""
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(c for c in name if unicodedata.category(c)[0] != "C").strip()
    return name[:_MAX_NAME] or "video"


class _Sink:
    """Where the bytes go, counted and looked at."""

    def __init__(self, file: BinaryIO, max_bytes: int):
        self._file = file
        self._max_bytes = max_bytes
        self._size = 0
        self._digest = hashlib.sha256()
        self._head = b""
        self._type: str | None = None

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._max_bytes:
            raise _too_large(self._max_bytes)
        if self._type is None:
            self._head += data[: content.HEAD_BYTES - len(self._head)]
            if len(self._head) == content.HEAD_BYTES:
                self._type = _video_type(self._head)
            stats = os.statvfs(self._file.fileno())
            if stats.f_bavail * stats.f_frsize < _SPARE:
                raise Refused(507, "there is no room for the upload")
        self._digest.update(data)
        self._file.write(data)

    def end(self, name: str) -> Upload:
        if not self._size:
            raise Refused(400, "the upload is empty; expected a video file")
        kind = self._type or _video_type(self._head)
        return Upload(name, self._size, self._digest.hexdigest(), kind)


def _video_type(head: bytes) -> str:
    kind = content.video_type(head)
    if kind is None:
        raise Refused(
            415,
            "this is not a video file; expected MP4, MOV, MKV, WebM, AVI, MPEG, TS,"
            " FLV, OGV or WMV",
        )
    return kind


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


class _Form:
    """The file of a multipart form, as its bytes come.

    Attributes:
      name: What the form calls the file.
      is_complete: Whether the file was there to its end.
    """

    def __init__(self, boundary: bytes):
        self.name = ""
        self.is_complete = False
        self._data = bytearray()
        self._field, self._value = b"", b""
        self._is_file = False
        self._num_files = 0
        if not boundary:
            raise Refused(400, "the form has no boundary")
        self._parser = python_multipart.MultipartParser(
            boundary,
            {
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header,
                "on_part_data": self._on_data,
                "on_part_end": self._on_part_end,
            },
        )

    def feed(self, data: bytes) -> bytes:
        """Takes a piece of the form; returns the bytes of the file in it."""
        try:
            self._parser.write(data)
        except MultipartParseError as e:
            raise Refused(400, "the form cannot be read") from e
        if self._num_files > 1:
            raise Refused(
                400, "the form has more than one file; send a request for each video"
            )
        found, self._data = bytes(self._data), bytearray()
        return found

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        is_named = self._field.lower() == b"content-disposition"
        # A browser sends a field without a file, and an empty name.
        if is_named and (name := _file_name(self._value)):
            self._num_files += 1
            self._is_file = True
            self.name = name
        self._field = self._value = b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._data += data[start:end]

    def _on_part_end(self) -> None:
        self.is_complete |= self._is_file
        self._is_file = False


def _file_name(disposition: bytes) -> str:
    """The name of a file in a form, in its own encoding too; empty where it is none."""
    _, options = parse_options_header(disposition)
    if name := options.get(b"filename"):
        return name.decode(errors="replace")
    found = _EXTENDED_NAME.search(disposition)
    return urllib.parse.unquote(found[1].decode(errors="replace")) if found else ""


def _too_large(max_bytes: int) -> Refused:
    return Refused(413, f"the file is larger than {max_bytes / 1e6:g} MB")
