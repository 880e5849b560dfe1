"""What damaged and odd files do to preprocessing, detection and the service.

    python -m benchmarks.damaged --workdir=OUT

Makes --files files from clips of the demo, a third of them put into Matroska and a
third into a transport stream, the same for the same --seed: cut, with bytes turned
over, with the heads of other files, empty, of another kind, ... Then:

- pipelines.preprocess on all of them: every file has a row, the program ends by itself,
- tfmds.detect on --sample of them: the same,
- tfmds.serve with --sample of them, --at_once uploads at a time: as many jobs as were
  accepted, each at its end, the service still ready.

Prints a table of statuses by kind of damage, and one of time and memory. Fails where a
row is missing, is there twice, or has a status that such a file cannot have (a sound
clip that is not `ok`, noise that is), or where a row contradicts itself (`ok` without
chunks, anything else with chunks or without a reason).
"""

import collections
import concurrent.futures
import csv
import dataclasses
import io
import itertools
import json
import pathlib
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping

import av
import httpx

from benchmarks import services
from benchmarks.scale import Cost, Rows, run
from tfmds import spec
from tfmds.common import app, flags
from tfmds.common.errors import InputError
from tfmds.common.flags import setting
from tfmds.data import data_set, manifest


@dataclasses.dataclass(frozen=True, kw_only=True)
class DamagedConfig:
    """How many files, and where they are made."""

    workdir: str = setting(
        flags.REQUIRED, "Where files and results go.", writes=flags.FOLDER
    )
    files: int = setting(2000, "Files that are made.", low=1)
    sample: int = setting(200, "Of these for tfmds.detect and tfmds.serve.", low=1)
    at_once: int = setting(4, "Uploads at the same time.", low=1)
    seed: int = setting(0, "The same seed makes the same files.", low=0)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(1, len(content))]


def _without_beginning(content: bytes, rng: random.Random) -> bytes:
    return content[rng.randrange(1, len(content)) :]


def _turned(content: bytes, rng: random.Random) -> bytes:
    """Some bytes anywhere, from a few to one in a hundred."""
    changed = bytearray(content)
    for _ in range(int(10 ** rng.uniform(0, 2) * len(content) / 10_000) + 1):
        changed[rng.randrange(len(changed))] ^= rng.randrange(1, 256)
    return bytes(changed)


def _turned_in_head(content: bytes, rng: random.Random) -> bytes:
    """A few bytes of the boxes that say where everything is, as at front or end."""
    changed = bytearray(content)
    at = max(content.find(b"moov"), 0)
    for _ in range(rng.randrange(1, 20)):
        place = min(at + rng.randrange(4000), len(changed) - 1)
        changed[place] ^= rng.randrange(1, 256)
    return bytes(changed)


def _hole(content: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(content))
    length = min(rng.randrange(1, len(content) // 2), len(content) - begin)
    return content[:begin] + bytes(length) + content[begin + length :]


def _missing_piece(content: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(content))
    return content[:begin] + content[begin + rng.randrange(1, len(content) // 2) :]


def _swapped(content: bytes, rng: random.Random) -> bytes:
    size = rng.randrange(16, len(content) // 4)
    one, other = sorted(rng.sample(range(len(content) // size), 2))
    pieces = [content[k : k + size] for k in range(0, len(content), size)]
    pieces[one], pieces[other] = pieces[other], pieces[one]
    return b"".join(pieces)


def _number_made_large(content: bytes, rng: random.Random) -> bytes:
    """The size of a box or a table becomes absurd."""
    names = [m.start() for m in re.finditer(rb"st[a-z]{2}|mdhd|trak|mdia", content)]
    at = rng.choice(names or [8]) - 4 + rng.choice([0, 8, 12, 16])
    at = min(max(at, 0), len(content) - 4)
    return (
        content[:at] + rng.choice([b"\x7f\xff\xff\xff", bytes(4)]) + content[at + 4 :]
    )


_HEADS = (
    b"RIFF\0\0\0\0AVI LIST",
    b"\x1a\x45\xdf\xa3",
    b"FLV\x01\x05\0\0\0\x09\0\0\0\0",
    b"\0\0\x01\xba",
    b"OggS",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0",
    b"PK\x03\x04",
    b"%PDF-1.7\n",
    b"<html>",
    b"#EXTM3U\n",
    b"ffconcat version 1.0\nfile '/etc/passwd'",
)


def _head_of_another(content: bytes, rng: random.Random) -> bytes:
    head = rng.choice(_HEADS)
    return head + content[rng.choice([0, len(head)]) :]


def _noise(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.choice([0, 40])] + rng.randbytes(rng.randrange(1, 100_000))


def _text(content: bytes, rng: random.Random) -> bytes:
    return rng.choice(_HEADS) + b"\nnothing to see here\n" * rng.randrange(1, 1000)


def _two_in_one(content: bytes, rng: random.Random) -> bytes:
    return content + content[rng.randrange(len(content)) :]


# By kind of damage.
DAMAGES: Mapping[str, Callable[[bytes, random.Random], bytes]] = {
    "as it was": lambda content, _: content,
    "cut short": _cut,
    "beginning missing": _without_beginning,
    "bytes turned": _turned,
    "bytes of the header turned": _turned_in_head,
    "zeros in between": _hole,
    "piece missing": _missing_piece,
    "pieces swapped": _swapped,
    "absurd sizes": _number_made_large,
    "another file's head": _head_of_another,
    "noise": _noise,
    "text": _text,
    "empty": lambda content, _: b"",
    "longer than itself": _two_in_one,
}
# What a file can be; one of a kind that is not listed may have any status.
_UNREADABLE = frozenset(spec.STATUSES) - {spec.OK, spec.NO_FACE, spec.TOO_SHORT}
PLAUSIBLE: Mapping[str, frozenset[str]] = {
    "as it was": frozenset({spec.OK}),
    "longer than itself": frozenset({spec.OK}),
    # FFmpeg takes some text and noise for pictures.
    "noise": _UNREADABLE,
    "text": _UNREADABLE,
    "empty": frozenset({spec.DECODE_ERROR}),
}
# What tfmds.serve says at once of what does not begin like a video.
_REFUSALS = {"refused 400": spec.DECODE_ERROR, "refused 415": spec.DECODE_ERROR}
_SUFFIXES = (*[".mp4"] * 6, ".avi", ".mkv", ".mov", ".webm")


def in_container(path: pathlib.Path, kind: str) -> bytes:
    """A clip with the same streams in another container."""
    made = io.BytesIO()
    with av.open(path) as clip, av.open(made, "w", kind) as other:
        streams = {s.index: other.add_stream_from_template(s) for s in clip.streams}
        for packet in clip.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                other.mux(packet)
    return made.getvalue()


def make(root: pathlib.Path, number: int, seed: int) -> dict[str, str]:
    """Makes the files and their manifest; returns the damage of each by its name."""
    clips = root / "clips"
    if not clips.exists():
        run(
            "pipelines.synthesize",
            *(f"--output_dir={clips}", "--num_identities=4", "--seconds=2"),
        )
    sources = []
    for k, path in enumerate(sorted(clips.rglob("*.mp4"))):
        kind = (None, "matroska", "mpegts")[k % 3]
        sources.append(in_container(path, kind) if kind else path.read_bytes())
    rng = random.Random(seed)
    folder = root / "files"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    damages = {}
    for k, kind in zip(range(number), itertools.cycle(DAMAGES), strict=False):
        content = DAMAGES[kind](rng.choice(sources), rng)
        # The ending is a lie now and then.
        name = f"file{k:05d}{rng.choice(_SUFFIXES)}"
        (folder / name).write_bytes(content)
        damages[name] = kind
    videos = [
        manifest.Video(name, f"files/{name}", "real", "test", "") for name in damages
    ]
    manifest.write_manifest(root / "manifest.csv", videos)
    return damages


def sample(damages: Mapping[str, str], number: int, seed: int) -> dict[str, str]:
    """So many of the files, drawn at random."""
    names = sorted(damages)
    drawn = random.Random(seed).sample(names, min(number, len(names)))
    return {name: damages[name] for name in sorted(drawn)}


def check(what: str, damages: Mapping[str, str], found: list[tuple[str, str]]) -> None:
    """Raises InputError where files and rows do not go together."""
    if sorted(name for name, _ in found) != sorted(damages):
        raise InputError(f"{what}: {len(found)} rows of {len(damages)} files")
    for name, status in found:
        kind = damages[name]
        plausible = PLAUSIBLE.get(kind, frozenset(spec.STATUSES))
        if _REFUSALS.get(status, status) not in plausible:
            raise InputError(f"{what}: {name} ({kind}) is {status}")


def check_row(row: data_set.VideoRow) -> None:
    """Raises InputError where a row contradicts itself."""
    usable = row.status == spec.OK
    if usable != bool(row.chunks and row.tracks) or not (usable or row.reason):
        raise InputError(f"preprocess: a row contradicts itself: {row}")


def preprocess(
    root: pathlib.Path, damages: Mapping[str, str]
) -> tuple[list[data_set.VideoRow], Cost]:
    """The rows of all files, and what they took."""
    out = root / "data"
    shutil.rmtree(out, ignore_errors=True)
    cost = run(
        "pipelines.preprocess",
        *(f"--manifest={root / 'manifest.csv'}", f"--output_dir={out}"),
    )
    rows = data_set.DataSet.load(out).videos()
    check("preprocess", damages, [(row.video.video_id, row.status) for row in rows])
    for row in rows:
        check_row(row)
    return rows, cost


def detect(
    root: pathlib.Path, damages: Mapping[str, str]
) -> tuple[dict[str, str], Cost]:
    """The status of each file, and what they took."""
    names = root / "sample.txt"
    names.write_text("".join(f"{root / 'files' / name}\n" for name in damages))
    cost = run("tfmds.detect", "--csv", f"--list={names}", codes=(3,), own_stderr=True)
    rows = list(csv.DictReader(io.StringIO(cost.output)))
    found = [(pathlib.Path(row["path"]).name, row["status"]) for row in rows]
    check("detect", damages, found)
    return dict(found), cost


def serve(
    root: pathlib.Path, damages: Mapping[str, str], at_once: int
) -> tuple[dict[str, str], float]:
    """The status of each file that was uploaded, and the seconds until all were done.

    Raises:
      InputError: A job is lost, failed, there twice, or the service is not ready.
    """
    jobs = root / "jobs"
    shutil.rmtree(jobs, ignore_errors=True)
    words = (f"--data_dir={jobs}", "--uploads_per_minute=100000")
    quiet = subprocess.DEVNULL
    with services.running(*words, timeout=120, stderr=quiet) as (client, _):
        services.wait_until_ready(client)
        found, seconds = _upload_all(client, root, damages, at_once)
    check("serve", damages, list(found.items()))
    return found, seconds


def _upload_all(
    client: httpx.Client, root: pathlib.Path, damages: Mapping[str, str], at_once: int
) -> tuple[dict[str, str], float]:
    def upload(name: str) -> str:
        content = (root / "files" / name).read_bytes()
        while True:
            answer = client.post("/v1/videos", params={"name": name}, content=content)
            if answer.status_code == 202:
                return answer.json()["id"]
            if answer.status_code != 503:
                return f"refused {answer.status_code}"
            time.sleep(0.2)

    def wait(job_id: str) -> str:
        if job_id.startswith("refused"):
            return job_id
        while True:
            job = client.get(f"/v1/videos/{job_id}").json()
            if job["state"] in ("done", "failed"):
                result = job.get("result") or {}
                return result.get("status", f"failed: {job.get('error')}")
            time.sleep(0.1)

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        ids = dict(zip(damages, pool.map(upload, damages), strict=True))
    found = {name: wait(job_id) for name, job_id in ids.items()}
    seconds = time.monotonic() - began
    accepted = [i for i in ids.values() if not i.startswith("refused")]
    if len(set(accepted)) != len(accepted):
        raise InputError("serve: two uploads have the same job")
    if client.get("/readyz").status_code != 200:
        raise InputError("serve: the service is not ready afterwards")
    for job_id in accepted[:3]:
        client.delete(f"/v1/videos/{job_id}")
    kept = client.get("/metrics").text
    (root / "metrics.txt").write_text(kept)
    return found, seconds


def main(config: DamagedConfig) -> None:
    """Makes the files, gives them to each program and prints the tables."""
    root = pathlib.Path(config.workdir).absolute()
    root.mkdir(parents=True, exist_ok=True)
    damages = make(root, config.files, config.seed)
    some = sample(damages, config.sample, config.seed)
    rows, cost = preprocess(root, damages)
    statuses = [s for s in spec.STATUSES if any(row.status == s for row in rows)]
    table = Rows("damage", "files", *statuses, "ok with a reason")
    for kind in DAMAGES:
        of_kind = [row for row in rows if damages[row.video.video_id] == kind]
        counts = collections.Counter(row.status for row in of_kind)
        partly = sum(row.status == spec.OK and bool(row.reason) for row in of_kind)
        numbers = (counts[status] or "" for status in statuses)
        table.add(kind, len(of_kind), *numbers, partly or "")
    (root / "reasons.json").write_text(
        json.dumps(
            {row.video.video_id: [row.status, row.reason] for row in rows}, indent=1
        )
    )
    table = Rows(
        *("program", "files", "refused", "CPU s a file", "wall s"),
        "MB of each process",
    )
    table.add(
        *(
            "preprocess",
            len(rows),
            "",
            f"{cost.cpu / len(rows):.2f}",
            f"{cost.wall:.0f}",
        ),
        " ".join(map(str, cost.peaks)),
    )
    found, cost = detect(root, some)
    table.add(
        *("detect", len(found), ""),
        *(f"{cost.cpu / len(found):.2f}", f"{cost.wall:.0f}"),
        " ".join(map(str, cost.peaks)),
    )
    found_by_service, seconds = serve(root, some, config.at_once)
    refused = sum(told in _REFUSALS for told in found_by_service.values())
    table.add("serve", len(found_by_service), refused, "", f"{seconds:.0f}", "")
    by_row = {row.video.video_id: row.status for row in rows}
    table = Rows("file", "damage", "preprocess", "detect", "serve")
    for name in some:
        told = by_row[name], found[name], found_by_service[name]
        if len({_REFUSALS.get(status, status) for status in told}) > 1:
            table.add(name, damages[name], *told)


if __name__ == "__main__":
    app.run(main)
