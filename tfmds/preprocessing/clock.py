"""Packets of a file on one clock, also where its time stamps begin anew.

Recordings that were joined byte by byte (MPEG-TS, MPG, VOB, chained Ogg, Matroska)
have the time stamps of each part. FFmpeg's own tools go on with an offset then
(`ts_discontinuity_process` of ffmpeg); its libraries leave that to their user.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence

import av

from tfmds.preprocessing.containers import packets_of

# Stamps less far back than this, in seconds, are those of reordered pictures or jitter.
_BACK = 1.0
# Nothing for longer than this is a gap, for longer than that a jump of the stamps.
_GAP = 2.0
_JUMP = 60.0
# How far is looked ahead to tell these apart: packets, and seconds of a stream.
_LOOK_PACKETS = 1000
_LOOK_SECONDS = 5.0
# Pictures are not shown later than this after they are decoded.
_LONGEST_DELAY = 10.0
# Bits of the stamps that containers store, after which they begin at 0, by ticks a
# second: of FLV, without its eighth byte and with it, as of ASF; of MPEG.
_STAMP_BITS = {1000: (24, 32), 90_000: (33,)}
# Stamps within this, in seconds, of where those of the file began, begin anew.
_ANEW = 1.0


class _Stamps:
    """Where a stream is, in seconds of its stamps, and what is added to them."""

    def __init__(self, time_base: float):
        self.time_base = time_base
        ticks = [2**bits for bits in _STAMP_BITS.get(round(1 / time_base), ())]
        self._wraps = {n: n * time_base for n in ticks}
        self.offset = 0.0
        # The largest stamp of decoding so far, and where what is shown ends.
        self.last: float | None = None
        self.end = -math.inf
        self._step = 0.0
        # The offset that comes with the next stamps far from the last.
        self.coming: float | None = None

    def of(self, packet: av.Packet) -> float | None:
        stamp = packet.dts if packet.dts is not None else packet.pts
        return None if stamp is None else stamp * self.time_base

    def advance(self, packet: av.Packet, time: float) -> None:
        if packet.duration:
            self._step = min(packet.duration * self.time_base, _GAP)
        elif self.last is not None and 0 < time - self.last < _GAP:
            self._step = time - self.last
        self.last = time if self.last is None else max(self.last, time)
        self.end = max(self.end, self.shown(packet, time) + self._step)

    def shown(self, packet: av.Packet, time: float) -> float:
        """When a packet is shown; its stamp of decoding where that cannot be."""
        if packet.pts is None:
            return time
        shown = packet.pts * self.time_base
        return shown if -_BACK <= shown - time <= _LONGEST_DELAY else time

    def move(self, offset: float) -> None:
        self.offset, self.last, self.end, self.coming = offset, None, -math.inf, None

    def goes_back(self, time: float) -> bool:
        return self.last is not None and time < self.last - _BACK

    def goes_ahead(self, time: float) -> bool:
        return self.last is not None and time > self.end + _GAP

    def goes_on(self, time: float) -> bool:
        return not self.goes_back(time) and not self.goes_ahead(time)

    def wrapped(self, time: float) -> float | None:
        """How far stamps fell to this one where they wrapped, None where they did not.

        No file says so, but after a wrap they go on as if nothing had happened.
        """
        fits = (
            p for p in self._wraps.values() if -_BACK <= time + p - self.end <= _GAP
        )
        return next(fits, None)

    def unwrap(self, packet: av.Packet) -> None:
        """Brings the stamp of showing to that of decoding, across a wrap."""
        if packet.pts is None or packet.dts is None:
            return
        delay = (packet.pts - packet.dts) * self.time_base
        for ticks, seconds in self._wraps.items():
            if -_BACK <= delay + seconds <= _LONGEST_DELAY:
                packet.pts += ticks


class Clock:
    """The packets of some streams of a file, with stamps that go on.

    Every iteration over the same streams of a file comes to the same stamps, so that
    picture and sound may be read through a container each.

    Attributes:
      gaps: Stretches without any packet so far, in seconds of the clock.
      jumps: Where the stamps jumped so far, in seconds of the clock, by how much, and
        whether they began anew there.
      position: Byte of the file after the last packet so far, as far as known.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        streams: Sequence[av.stream.Stream],
        heard_seconds: float = 0.0,
    ):
        """Starts at the beginning of a file.

        Args:
          container: The opened file.
          streams: Its streams whose packets are wanted.
          heard_seconds: Length of the sound in another file: in gaps before its end
            the picture stands still.
        """
        self._packets = packets_of(container, streams)
        self._stamps = {s.index: _Stamps(float(s.time_base or 1)) for s in streams}
        # Offsets are whole ticks of each stream, or the streams would drift apart.
        self._tick = max(stamps.time_base for stamps in self._stamps.values())
        self._heard_seconds = heard_seconds
        self._first: float | None = None
        self._ahead: deque[av.Packet] = deque()
        self._error: Exception | None = None
        self.gaps: list[tuple[float, float]] = []
        self.jumps: list[tuple[float, float, bool]] = []
        self.position = 0

    def __iter__(self) -> Iterator[av.Packet]:
        """Yields the packets in the order of the file.

        Raises:
          av.FFmpegError, OSError: What follows cannot be read.
        """
        while self._ahead or self._read():
            packet = self._ahead.popleft()
            self._place(packet)
            self.position = max(self.position, (packet.pos or 0) + packet.size)
            yield packet
        if self._error:
            raise self._error

    def end(self, index: int) -> float:
        """Where the packets of a stream ended so far, in seconds of the clock."""
        return self._stamps[index].end + self._stamps[index].offset

    def _read(self) -> bool:
        """Reads a packet ahead, if there is one."""
        while not self._error:
            try:
                packet = next(self._packets)
            except StopIteration:
                return False
            except (av.FFmpegError, OSError) as e:
                self._error = e
                return False
            # The last ones are PyAV's and tell decoders of the end.
            if packet.size or packet.pts is not None:
                self._ahead.append(packet)
                return True
        return False

    def _following(self) -> Iterator[tuple[int, float, float]]:
        """Streams of the next packets, when they are decoded and when shown."""
        for i in range(_LOOK_PACKETS):
            if i == len(self._ahead) and not self._read():
                return
            packet = self._ahead[i]
            stamps = self._stamps[packet.stream_index]
            time = stamps.of(packet)
            if time is not None:
                yield packet.stream_index, time, stamps.shown(packet, time)

    def _place(self, packet: av.Packet) -> None:
        index = packet.stream_index
        stamps = self._stamps[index]
        stamps.unwrap(packet)
        time = stamps.of(packet)
        if time is None:
            return
        if self._first is None:
            self._first = time
        if not stamps.goes_on(time):
            if self._is_stray(index):
                packet.pts = packet.dts = None
                return
            self._go_on(index, time, stamps.shown(packet, time))
        elif stamps.last is None and stamps.coming is not None:
            stamps.move(stamps.coming)
        stamps.advance(packet, time)
        if packet.pts is not None and stamps.shown(packet, time) == time:
            packet.pts = packet.dts if packet.dts is not None else packet.pts
        if stamps.offset:
            ticks = round(stamps.offset / stamps.time_base)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks

    def _is_stray(self, index: int) -> bool:
        """Whether the next packet of a stream goes on as if this one were not."""
        after = (time for i, time, _ in self._following() if i == index)
        time = next(after, None)
        return time is not None and self._stamps[index].goes_on(time)

    def _go_on(self, index: int, time: float, shown: float) -> None:
        """Decides what a stamp means that lies far from the one before."""
        stamps = self._stamps[index]
        if stamps.coming is not None:
            stamps.move(stamps.coming)
            return
        # Another stream may have jumped before, too long ago to see this one follow.
        end = stamps.end + stamps.offset
        for other in self._stamps.values():
            if -_BACK <= time + other.offset - end <= _GAP:
                stamps.move(other.offset)
                return
        if stamps.goes_back(time):
            period = stamps.wrapped(time)
            if period is not None:
                stamps.move(stamps.offset + period)
            else:
                self._jump(index, time, shown)
        elif self._is_empty(index, time):
            if time - stamps.end > _JUMP:
                self._jump(index, time, shown)
            else:
                self.gaps.append((end, time + stamps.offset))

    def _is_empty(self, index: int, time: float) -> bool:
        """Whether nothing goes on in the gap before a stamp of a stream."""
        if time - (self._first or 0.0) <= self._heard_seconds:
            return False
        start = self._stamps[index].end
        quarter = (time - start) / 4
        others = [(i, s) for i, s in self._stamps.items() if i != index]
        begun = {i: s for i, s in others if s.last is not None}
        near = start + min(quarter, _GAP)
        if any(s.last > near for _, s in others if s.last is not None):
            return False
        waiting = set(begun)
        for i, later, _ in self._following():
            if i == index and later > time + _LOOK_SECONDS:
                break
            if i in waiting:
                if later >= time - quarter or begun[i].goes_back(later):
                    waiting.discard(i)
                elif later > near:
                    return False
            if not waiting:
                break
        return True

    def _jump(self, index: int, time: float, shown: float) -> None:
        """Goes on with an offset, which the streams share that jump as well."""
        stamps = self._stamps[index]
        others = {i: s for i, s in self._stamps.items() if i != index}
        end, first = stamps.end + stamps.offset, shown
        waiting = dict(others)
        for i, later, later_shown in self._following() if others else ():
            if i == index and later > time + _LOOK_SECONDS:
                break
            if i not in waiting:
                continue
            other = waiting[i]
            if other.last is None or not other.goes_on(later):
                first = min(first, later_shown)
                del waiting[i]
            else:
                end = max(end, later + other.offset)
            if not waiting:
                break
        moved = [other for i, other in others.items() if i not in waiting]
        end = max([end, *(other.end + other.offset for other in moved)])
        offset = math.ceil((end - first) / self._tick - 1e-6) * self._tick
        for other in moved:
            other.coming = offset
        is_anew = abs(first - (self._first or 0.0)) < _ANEW
        self.jumps.append((first + offset, first - stamps.end, is_anew))
        stamps.move(offset)
