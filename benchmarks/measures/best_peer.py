"""``best_peer``: the five stages of the flights example as separate programs: riverrun against other stream processors.

Time on the wall, of the whole machine: all programs start together and read what was published before. The clock runs
from the first event that is let in until most examples, which come last, are written and learned. Peers are installed
from their packages into environments under the build folder, for this alone; one that does not install or does not get
through is named, not counted. They evaluate as the bare loop does. Still they have it easier: nothing merges their
topics by event time, and their models are not learned exactly once.
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
from typing import Final, NamedTuple

import benchmarks.peers
from benchmarks.bare.avro import make_decoder
from benchmarks.bare.chained import ChainSettings
from benchmarks.figures import Figure
from benchmarks.flight_pipeline import flights_pipeline
from benchmarks.flights import publish_flights
from benchmarks.lab import APART, FIVE_STAGES, Lab
from benchmarks.measures.chained import bare_settings
from benchmarks.rounds import in_turn, isolated, median_and_spread
from benchmarks.service import await_, processor_s, services
from riverrun.adapters.kafka_log import KafkaLog
from riverrun.errors import RiverrunError
from riverrun.records.avro import parsed
from riverrun.records.topics import Kind
from riverrun.runtime.ports import Log, TopicSpec
from schemas import current

_HERE: Final = Path(benchmarks.peers.__path__[0])
_ROOT: Final = _HERE.parents[1]
_PATH: Final = os.pathsep.join((str(_ROOT), str(_ROOT / "shared")))
_EXAMPLES_SHARE: Final = 0.31
"""How many of the published messages end as examples, about; those of the year's first days."""
_DONE: Final = 0.9
_EVALUATED_EVERY: Final = 1_000
"""Examples: riverrun's default, and what the peers do."""
_EVENTS: Final = {"quick": 60_000, "full": 120_000}
"""Enough that starting, which some are quicker at than others, is little beside the work: with 20,000 the best peer
came off a third worse.
"""
_ROUNDS: Final = 2
"""In the quick benchmark."""
_LIMIT_S: Final = {"quick": 90.0, "full": 300.0}
_INSTALL_S: Final = 300.0
_STOP_S: Final = 20.0
_READ: Final = 10_000


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
    only_full
        Why it is measured by the full benchmark alone, and what was found when last it was; empty for the others.
    """

    name: str
    module: str
    requirements: str
    less: str = ""
    only_full: str = ""


PEERS: Final = (
    Peer("Quix Streams", "benchmarks.peers.quix", "quix.txt"),
    Peer("Faust", "benchmarks.peers.faust_app", "faust.txt", only_full="as it takes minutes: 434 events/s"),
    Peer(
        "Bytewax",
        "benchmarks.peers.bytewax_app",
        "bytewax.txt",
        "writes to Kafka at least once, not exactly once",
        "as it promises less: 10,244 events/s, 169 us of processor time each, where riverrun had 7,237 and 222",
    ),
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
    lab.seen.add(APART)
    notes = dict(ABSENT)
    able = []
    for peer in PEERS:
        if peer.only_full and is_quick:
            notes[peer.name] = f"measured by the full benchmark alone, {peer.only_full} when last it was"
            continue
        try:
            able.append((peer, environment(peer, lab.folder.parent / "peers")))
        except (OSError, subprocess.SubprocessError) as error:
            notes[peer.name] = f"does not install: {str(getattr(error, 'stderr', '') or error)[-200:]}"
    sides: list[Callable[[int], _Run]] = [lambda number: riverrun_side(lab, f"peer-{number}", events)]
    sides += [_side(lab, peer, python, events) for peer, python in able]
    results = in_turn(sides, _ROUNDS if is_quick else lab.size.rounds)
    runs = {"riverrun": [each[0] for each in results]}
    runs |= {peer.name: [each[index] for each in results] for index, (peer, _) in enumerate(able, start=1)}
    speeds = {name: [run.per_s for run in each] for name, each in runs.items()}
    for name in [name for name, values in speeds.items() if min(values) <= 0.0]:
        notes[name] = "does not get through"
    notes.update({f"{peer.name} promises less": peer.less for peer, _ in able if peer.less})
    equals = [speeds[peer.name] for peer, _ in able if not peer.less]
    ratios = [_ratio(ours, [each[number] for each in equals]) for number, ours in enumerate(speeds["riverrun"])]
    value, spread = median_and_spread(ratios)
    details: dict[str, object] = {
        f"{name}_per_s": round(median_and_spread(values)[0]) for name, values in speeds.items()
    }
    details |= {f"{name}_cpu_us_per_event": _spent(each) for name, each in runs.items()}
    short_of = "" if max(ratios) > 0.0 else "no peer got through"
    return Figure("best_peer", value, spread, tuple(ratios), details={**details, **notes}, short_of=short_of)


def _spent(runs: Sequence[_Run]) -> str:
    """Return what an event costs each stage's process, in words; the broker and what else there is has the rest."""
    spent = {stage: median_and_spread([run.cpu_us[stage] for run in runs])[0] for stage in runs[0].cpu_us}
    return ", ".join([*(f"{stage} {us:.0f}" for stage, us in spent.items()), f"all {sum(spent.values()):.0f}"])


def _ratio(ours: float, theirs: Sequence[float]) -> float:
    best = max(theirs, default=0.0)
    return ours / best if best > 0.0 else 0.0


def _side(lab: Lab, peer: Peer, python: Path, events: int) -> Callable[[int], _Run]:
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


def riverrun_side(lab: Lab, name: str, events: int) -> _Run:
    """Run riverrun's stages, each a service of its own."""
    deployment = lab.connect(flights_pipeline(name))
    deployment.ensure_topics()
    names = deployment.topology.names
    topics = _Topics(names[Kind.EVENTS], names[Kind.EXAMPLES], names[Kind.EVALUATIONS])
    job = _Job(deployment.log, topics, events, _LIMIT_S[lab.size.name])
    with services(lab, flights_pipeline, name, [[[stage]] for stage in FIVE_STAGES]) as processes:
        run = job.watch(dict(zip(FIVE_STAGES, processes, strict=True)))
    deployment.log.close()
    return run


def peer_side(lab: Lab, peer: Peer, python: Path, name: str, events: int) -> _Run:
    """Run a peer's programs; the speed is 0 if they do not get through."""
    deployment = lab.connect(flights_pipeline(f"schemas-of-{name}"))
    settings = bare_settings(lab, deployment, name)
    deployment.log.ensure_topics([TopicSpec(output.topic, 1) for output in settings.outputs.values()])
    deployment.log.close()
    file = lab.folder / f"{name}.json"
    file.write_text(json.dumps(_told(settings, lab, name, deployment.pipeline.feature_names)), encoding="utf-8")
    log = KafkaLog(lab.kafka)
    topics = _Topics(f"{name}.events", f"{name}.examples", f"{name}.evaluations")
    job = _Job(log, topics, events, _LIMIT_S[lab.size.name])
    try:
        with _programs({stage: [str(python), "-m", peer.module, stage] for stage in FIVE_STAGES}, file) as processes:
            return job.watch(processes)
    except (OSError, RuntimeError, RiverrunError) as error:
        # Whatever is wrong with a peer's program is no failure of the benchmark: its log tells, and the page.
        sys.stderr.write(f"{peer.name} does not get through: {error}\n")
        return _Run(0.0, dict.fromkeys(FIVE_STAGES, 0.0))
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
def _programs(commands: Mapping[str, list[str]], file: Path) -> Iterator[dict[str, int]]:
    """Run a program for each stage meanwhile; gives their process ids. They stop at the end, all at once."""
    settings = {**os.environ, "PEER_JOB": str(file.absolute()), "PYTHONPATH": _PATH}
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for stage, command in commands.items():
            with file.with_suffix(f".{stage}.log").open("ab") as out:
                processes[stage] = subprocess.Popen(command, env=settings, stdout=out, stderr=out)
        yield {stage: process.pid for stage, process in processes.items()}
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True, slots=True)
class _Run:
    """How a job went.

    Parameters
    ----------
    per_s
        Messages a second, of the whole machine.
    cpu_us
        Processor time of a message, by stage.
    """

    per_s: float
    cpu_us: Mapping[str, float]


class _Topics(NamedTuple):
    """What is watched."""

    let_in: str
    examples: str
    evaluations: str


@dataclass(frozen=True, slots=True)
class _Job:
    """What is waited for: from the first event that is let in until most examples are written and learned."""

    log: Log
    topics: _Topics
    events: int
    limit_s: float

    def watch(self, processes: Mapping[str, int]) -> _Run:
        """Return how it went; processes are by stage."""
        let_in, examples, evaluations = self.topics
        await_(f"{let_in} to begin", lambda: self.log.high_watermark(let_in, 0) > 0, self.limit_s)
        before = {stage: processor_s(process) for stage, process in processes.items()}
        began, wanted = time.monotonic(), round(_DONE * _EXAMPLES_SHARE * self.events)
        # Offsets would not do: a transaction's end takes one too, and who commits more often would seem to be quicker.
        self._await(examples, lambda count, _: count >= wanted)
        # Nor would written examples alone: who lets its learner fall behind would seem to be quicker too.
        position = make_decoder(parsed(current("evaluation")))
        learned = wanted - wanted % _EVALUATED_EVERY
        self._await(evaluations, lambda _, last: position(last)["position"] >= learned)
        done = _DONE * self.events
        spent = {stage: processor_s(process) - before[stage] for stage, process in processes.items()}
        per_s = done / (time.monotonic() - began)
        return _Run(per_s, {stage: seconds / done * 1e6 for stage, seconds in spent.items()})

    def _await(self, topic: str, is_enough: Callable[[int, bytes], bool]) -> None:
        """Read a topic until it is enough, by how many records there are and by the last of them."""
        reader = self.log.reader(topic, 0, 0)
        count = 0

        def there() -> bool:
            nonlocal count
            records = reader.poll(_READ)
            count += len(records)
            return bool(records) and is_enough(count, records[-1].value or b"")

        try:
            await_(f"{topic} to come near the end", there, self.limit_s)
        finally:
            reader.close()
