"""``best_peer``: the five stages of the flights example as separate programs: riverrun against other stream processors.

Time on the wall, of the whole machine: all programs start together and read what was published before. The clock runs
from the first event that is let in until most examples, which come last, are there. Peers are installed from their
packages into environments under the build folder, for this alone; one that does not install or does not get through is
named, not counted. They evaluate as the bare loop does. Still they have it easier: nothing merges their topics by
event time, and their models are not learned exactly once.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import benchmarks.peers
from benchmarks.bare.chained import ChainSettings
from benchmarks.figures import Figure
from benchmarks.flight_pipeline import flights_pipeline
from benchmarks.flights import publish_flights
from benchmarks.lab import ALL_STAGES, Lab
from benchmarks.measures.chained import bare_settings
from benchmarks.rounds import in_turn, isolated, median_and_spread
from benchmarks.service import await_, service
from riverrun.adapters.kafka_log import KafkaLog
from riverrun.errors import RiverrunError
from riverrun.records.topics import Kind
from riverrun.runtime.ports import Log, TopicSpec

_HERE: Final = Path(benchmarks.peers.__path__[0])
_ROOT: Final = _HERE.parents[1]
_PATH: Final = os.pathsep.join((str(_ROOT), str(_ROOT / "shared")))
_EXAMPLES_SHARE: Final = 0.31
"""How many of the published messages end as examples, about; those of the year's first days."""
_DONE: Final = 0.9
_EVENTS: Final = {"quick": 60_000, "full": 120_000}
"""Enough that starting, which some are quicker at than others, is little beside the work: with 20,000 the best peer
came off a third worse.
"""
_ROUNDS: Final = 2
"""In the quick benchmark."""
_LIMIT_S: Final = {"quick": 90.0, "full": 300.0}
_INSTALL_S: Final = 300.0
_STOP_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A stream processor.

    Parameters
    ----------
    name
        For people.
    module
        Its program, which takes a stage's name.
    requirements
        Its file of pinned packages.
    less
        What it promises less than riverrun does: its speed is told, and is not what riverrun's is divided by.
    slow
        Whether it takes minutes to get through: then it is measured by the full benchmark alone.
    """

    name: str
    module: str
    requirements: str
    less: str = ""
    slow: bool = False


PEERS: Final = (
    Peer("Quix Streams", "benchmarks.peers.quix", "quix.txt"),
    Peer("Faust", "benchmarks.peers.faust_app", "faust.txt", slow=True),
    Peer("Bytewax", "benchmarks.peers.bytewax_app", "bytewax.txt", "writes to Kafka at least once, not exactly once"),
)
ABSENT: Final[Mapping[str, str]] = {
    "PyFlink": "does not install beside River 0.26: its Apache Beam needs numpy below 2.2, River needs 2.2.5",
}


def measure(lab: Lab) -> Figure:
    """Measure."""
    events = _EVENTS[lab.size.name]
    isolated(publish_flights, lab, events)
    is_quick = lab.size.name == "quick"
    # The broker's compiler learns what its programs do in a few runs of them, whoever makes them.
    riverrun_side(lab, "peer-warm-up", events)
    speeds: dict[str, list[float]] = {"riverrun": []}
    notes = dict(ABSENT)
    able = []
    for peer in PEERS:
        if peer.slow and is_quick:
            notes[peer.name] = (
                "measured by the full benchmark alone, as it takes minutes: 434 events/s when last it was"
            )
            continue
        try:
            able.append((peer, environment(peer, lab.folder.parent / "peers")))
        except (OSError, subprocess.SubprocessError) as error:
            notes[peer.name] = f"does not install: {str(getattr(error, 'stderr', '') or error)[-200:]}"
    sides: list[Callable[[int], float]] = [lambda number: riverrun_side(lab, f"peer-{number}", events)]
    sides += [_side(lab, peer, python, events) for peer, python in able]
    results = in_turn(sides, _ROUNDS if is_quick else lab.size.rounds)
    speeds["riverrun"] = [each[0] for each in results]
    for index, (peer, _) in enumerate(able, start=1):
        speeds[peer.name] = [each[index] for each in results]
    for name in [name for name, values in speeds.items() if min(values) <= 0.0]:
        notes[name] = "does not get through"
    notes.update({f"{peer.name} promises less": peer.less for peer, _ in able if peer.less})
    equals = [speeds[peer.name] for peer, _ in able if not peer.less]
    ratios = [_ratio(ours, [each[number] for each in equals]) for number, ours in enumerate(speeds["riverrun"])]
    value, spread = median_and_spread(ratios)
    details: dict[str, object] = {
        f"{name}_per_s": round(median_and_spread(values)[0]) for name, values in speeds.items()
    }
    short_of = "" if max(ratios) > 0.0 else "no peer got through"
    return Figure("best_peer", value, spread, tuple(ratios), details={**details, **notes}, short_of=short_of)


def _ratio(ours: float, theirs: Sequence[float]) -> float:
    best = max(theirs, default=0.0)
    return ours / best if best > 0.0 else 0.0


def _side(lab: Lab, peer: Peer, python: Path, events: int) -> Callable[[int], float]:
    return lambda number: peer_side(lab, peer, python, f"{peer.module.rpartition('.')[2]}-{number}", events)


def environment(peer: Peer, folder: Path) -> Path:
    """Install a peer unless it is there; return its interpreter.

    Raises
    ------
    OSError, subprocess.SubprocessError
        If it does not install, or takes too long to.
    """
    place = folder.absolute() / peer.requirements.removesuffix(".txt")
    python = place / "bin" / "python"
    done = place / "installed"
    wanted = (_HERE / peer.requirements).read_text(encoding="utf-8")
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return python
    make = [sys.executable, "-m", "venv", "--clear", str(place)]
    subprocess.run(make, check=True, capture_output=True, text=True, timeout=_INSTALL_S)
    install = [str(python), "-m", "pip", "install", "--quiet", "-r", str(_HERE / peer.requirements)]
    subprocess.run(install, check=True, capture_output=True, text=True, timeout=_INSTALL_S)
    done.write_text(wanted, encoding="utf-8")
    return python


def riverrun_side(lab: Lab, name: str, events: int) -> float:
    """Return the events a second of riverrun's stages, each a service of its own."""
    deployment = lab.connect(flights_pipeline(name))
    deployment.ensure_topics()
    with contextlib.ExitStack() as running:
        for stage in ALL_STAGES:
            running.enter_context(service(lab, flights_pipeline, name, [stage]))
        names = deployment.topology.names
        speed = _speed(deployment.log, (names[Kind.EVENTS], names[Kind.EXAMPLES]), events, _LIMIT_S[lab.size.name])
    deployment.log.close()
    return speed


def peer_side(lab: Lab, peer: Peer, python: Path, name: str, events: int) -> float:
    """Return the events a second of a peer's programs; 0 if they do not get through."""
    deployment = lab.connect(flights_pipeline(f"schemas-of-{name}"))
    settings = bare_settings(lab, deployment, name)
    deployment.log.ensure_topics([TopicSpec(output.topic, 1) for output in settings.outputs.values()])
    deployment.log.close()
    file = lab.folder / f"{name}.json"
    file.write_text(json.dumps(_told(settings, lab, name, deployment.pipeline.feature_names)), encoding="utf-8")
    log = KafkaLog(lab.kafka)
    try:
        with contextlib.ExitStack() as running:
            for stage in ALL_STAGES:
                running.enter_context(_program([str(python), "-m", peer.module, stage], file))
            return _speed(log, (f"{name}.events", f"{name}.examples"), events, _LIMIT_S[lab.size.name])
    except (OSError, RuntimeError, RiverrunError) as error:
        # Whatever is wrong with a peer's program is no failure of the benchmark: its log tells, and the page.
        sys.stderr.write(f"{peer.name} does not get through: {error}\n")
        return 0.0
    finally:
        log.close()


def _told(settings: ChainSettings, lab: Lab, name: str, features: tuple[str, ...]) -> dict[str, object]:
    """Return what a peer's programs are told, for a file."""
    return {
        "kafka": lab.kafka["bootstrap.servers"],
        "prefix": name,
        "folder": str(lab.folder.absolute()),
        "features": features,
        "sources": {
            topic: {
                "topic": topic,
                "stream": source.stream,
                "key": source.key,
                "time": source.time,
                "schema": source.schema,
                "frame": source.frame.hex(),
                "json": source.json,
            }
            for topic, source in settings.sources.items()
        },
        "outputs": {
            kind: {"schema": output.schema, "frame": output.frame.hex()}
            for kind, output in settings.outputs.items()
            if kind != "events"
        },
    }


@contextlib.contextmanager
def _program(command: list[str], file: Path) -> Iterator[None]:
    log = file.with_suffix(f".{command[-1]}.log")
    with log.open("ab") as out:
        settings = {**os.environ, "PEER_JOB": str(file.absolute()), "PYTHONPATH": _PATH}
        process = subprocess.Popen(command, env=settings, stdout=out, stderr=out)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _speed(log: Log, topics: tuple[str, str], events: int, limit_s: float) -> float:
    """Return messages a second, from the first event that is let in until most examples are there."""
    let_in, ended = topics
    await_(f"{let_in} to begin", lambda: log.high_watermark(let_in, 0) > 0, limit_s)
    began, wanted = time.monotonic(), _DONE * _EXAMPLES_SHARE * events
    await_(f"{ended} to come near the end", lambda: log.high_watermark(ended, 0) >= wanted, limit_s)
    return _DONE * events / (time.monotonic() - began)
