"""Whether a file is encrypted, as its container says.

FFmpeg reads such files as damaged ones: what it finds behind the headers is noise, of
which some decoders make pictures.
"""

import os
import re
import struct
from typing import IO

from tfmds import spec
from tfmds.preprocessing.containers import MediaError

# As much of a file is looked at where its container has no header of known length.
_LOOK_BYTES = 1 << 20
# No header of an MP4 file is longer.
_MOST_BOX_BYTES = 1 << 28
# Kinds of samples in MP4: by common encryption (ISO/IEC 23001-7), by FairPlay.
_MP4_PICTURE = re.compile(rb"stsd.{12}(?:encv|drmi)", re.DOTALL)
_MP4_SOUND = re.compile(rb"stsd.{12}(?:enca|drms)", re.DOTALL)
# An encoding of a track that has an encryption; none stands behind the first cluster.
_MATROSKA = re.compile(rb"\x6d\x80.{1,8}\x62\x40.{1,64}?\x50\x35", re.DOTALL)
_CLUSTER = b"\x1f\x43\xb6\x75"
# Objects of ASF: content encryption, the extended one, the advanced one.
_ASF = re.compile(
    rb"\xfb\xb3\x11\x22\x23\xbd\xd2\x11\xb4\xb7\x00\xa0\xc9\x55\xfc\x6e"
    rb"|\x14\xe6\x8a\x29\x22\x26\x17\x4c\xb9\x35\xda\xe0\x7e\xe9\x28\x9c"
    rb"|\x33\x85\x05\x43\x81\x69\xe6\x49\x9b\x74\xad\x12\xcb\x86\xd5\x8c",
    re.DOTALL,
)
# Packets of streams in MPEG program streams: their first byte of flags.
_PROGRAM_PACKET = re.compile(rb"\0\0\x01[\xbd\xc0-\xef]..([\x80-\xbf])", re.DOTALL)


def check(path: os.PathLike | str) -> None:
    """Raises MediaError where the picture or the sound of a file is encrypted.

    Args:
      path: The file; what cannot be read is none of this.
    """
    picture = sound = False
    try:
        with open(path, "rb") as f:
            head = f.read(16)
            f.seek(0)
            if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"):
                header = _mp4_header(f)
                picture = bool(_MP4_PICTURE.search(header))
                sound = bool(_MP4_SOUND.search(header))
            else:
                picture = _is_encrypted(f.read(_LOOK_BYTES))
    except OSError:
        return
    if picture or sound:
        raise MediaError(
            spec.DECODE_ERROR if picture else spec.NO_AUDIO,
            f"its {'picture' if picture else 'sound'} is encrypted (protected by DRM or"
            " a scrambled broadcast): it can be read only where its key is known."
            " Expected an unprotected copy",
        )


def _mp4_header(file: IO[bytes]) -> bytes:
    """The box that says what a file's samples are, empty where there is none."""
    size = file.seek(0, os.SEEK_END)
    at = 0
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        if kind == b"moov":
            file.seek(at)
            return file.read(min(length or size, _MOST_BOX_BYTES))
        if length < 8:
            break
        at += length
    return b""


def _is_encrypted(head: bytes) -> bool:
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return bool(_MATROSKA.search(head.partition(_CLUSTER)[0]))
    if head.startswith(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"):
        return bool(_ASF.search(head))
    if head.startswith(b"\0\0\x01\xba"):
        # MPEG-1 has no such flags.
        if head[4] & 0xC0 != 0x40:
            return False
        flags = [found[1][0] for found in _PROGRAM_PACKET.finditer(head)]
        return _are_most([bool(flag & 0x30) for flag in flags])
    for length, start in ((188, 0), (192, 4), (204, 0)):
        packets = [head[at : at + 4] for at in range(start, len(head) - 188, length)]
        if len(packets) > 4 and all(p[0] == 0x47 for p in packets):
            # Without those that are filled up, and tables, which stay as they are.
            told = [p for p in packets if p[1] & 0x1F != 0x1F and p[3] & 0x10]
            return _are_most([bool(p[3] & 0xC0) for p in told])
    return False


def _are_most(marks: list[bool]) -> bool:
    return bool(marks) and sum(marks) > len(marks) / 2
