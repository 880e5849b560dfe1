"""Messages between the service and its workers: a JSON header and some bytes.

JSON and not pickle: a worker that a hostile file has taken over must not be able to
run code in the service.
"""

import asyncio
import json
import struct
from typing import Any, BinaryIO

Header = dict[str, Any]

_LENGTHS = struct.Struct(">IQ")
# No header is longer; more means that the other end has lost its mind.
_MAX_HEADER = 1_000_000
_MAX_PAYLOAD = 2_000_000_000


def pack(header: Header, payload: bytes = b"") -> bytes:
    """One message."""
    head = json.dumps(header).encode()
    return _LENGTHS.pack(len(head), len(payload)) + head + payload


def read(stream: BinaryIO) -> tuple[Header, bytes]:
    """Reads a message.

    Raises:
      EOFError: The other end is gone.
    """
    lengths = _unpack(_read_exactly(stream, _LENGTHS.size))
    head = _read_exactly(stream, lengths[0])
    return json.loads(head), _read_exactly(stream, lengths[1])


async def read_async(stream: asyncio.StreamReader) -> tuple[Header, bytes]:
    """Reads a message.

    Raises:
      EOFError: The other end is gone (asyncio.IncompleteReadError).
      ValueError: What came is no message.
    """
    lengths = _unpack(await stream.readexactly(_LENGTHS.size))
    head = await stream.readexactly(lengths[0])
    return json.loads(head), await stream.readexactly(lengths[1])


def _unpack(data: bytes) -> tuple[int, int]:
    head, payload = _LENGTHS.unpack(data)
    if head > _MAX_HEADER or payload > _MAX_PAYLOAD:
        raise ValueError("not a message")
    return head, payload


def _read_exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
