"""Messages between a process and those it starts: a JSON header and some bytes.

JSON and not pickle: a process that a hostile file has taken over must not be able to
run code in the one that listens to it.
"""

import asyncio
import json
import os
import socket
import struct
import time
from typing import Any

Header = dict[str, Any]

_LENGTHS = struct.Struct(">IQ")
# No header is longer; more means that the other end has lost its mind.
_MAX_HEADER = 1_000_000
_MAX_PAYLOAD = 2_000_000_000
_BLOCK_BYTES = 1 << 20


def pack(header: Header, payload: bytes = b"") -> bytes:
    """One message."""
    head = json.dumps(header).encode()
    return _LENGTHS.pack(len(head), len(payload)) + head + payload


def receive(
    source: socket.socket, deadline: float | None = None
) -> tuple[Header, bytes]:
    """Waits for a message.

    Args:
      source: Where it comes from.
      deadline: The whole of it must have come by then (`time.monotonic`).

    Raises:
      EOFError: The other end is gone.
      TimeoutError: It did not come in time.
      ValueError: What came is no message.
    """
    head, payload = _lengths(_receive(source, _LENGTHS.size, deadline))
    header = _header(_receive(source, head, deadline))
    return header, bytes(_receive(source, payload, deadline))


async def receive_async(stream: asyncio.StreamReader) -> tuple[Header, bytes]:
    """Waits for a message.

    Raises:
      EOFError: The other end is gone (asyncio.IncompleteReadError).
      ValueError: What came is no message.
    """
    head, payload = _lengths(await stream.readexactly(_LENGTHS.size))
    header = _header(await stream.readexactly(head))
    return header, await stream.readexactly(payload)


def connection() -> socket.socket:
    """In a process that was started with a socket for its standard input: that socket.

    Whatever prints prints to standard error from then on, and nothing is to be read.
    """
    found = socket.socket(fileno=os.dup(0))
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return found


def _lengths(data: bytes | bytearray) -> tuple[int, int]:
    head, payload = _LENGTHS.unpack(data)
    if head > _MAX_HEADER or payload > _MAX_PAYLOAD:
        raise ValueError("not a message")
    return head, payload


def _header(data: bytes | bytearray) -> Header:
    try:
        header = json.loads(data)
    except RecursionError as e:
        raise ValueError("not a message") from e
    if not isinstance(header, dict) or not isinstance(header.get("kind"), str):
        raise ValueError("not a message")
    return header


def _receive(source: socket.socket, count: int, deadline: float | None) -> bytearray:
    data = bytearray()
    while len(data) < count:
        if deadline is not None:
            # Zero would stand for a socket that never waits.
            source.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            piece = source.recv(min(count - len(data), _BLOCK_BYTES))
        except ConnectionError:
            piece = b""
        if not piece:
            raise EOFError
        data += piece
    return data
