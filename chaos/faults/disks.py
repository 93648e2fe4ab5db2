"""Faults of what lies on disks: the model store cannot be written, its files are damaged, state has no room."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from chaos.scene import Kind, Scene, Steps
from riverrun.runtime.degradations import Degradation

__all__ = ["DISKS"]

_CHECKPOINTS: Final = "_checkpoints"
_REFUSED: Final = {_CHECKPOINTS: "is passed over"}
_KEPT: Final = "the last good models stay in use"

Damage = Callable[[bytes], bytes]


def _torn(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _tampered(content: bytes) -> bytes:
    """Change one byte in the middle, where the pickled state is."""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def _unwritable(scene: Scene) -> Steps:
    """Put a file where the pipeline's folder in the model store was: whoever may do anything cannot write there."""
    folder = _folder(scene)
    yield from scene.until("a model in the store", folder.is_dir)
    aside = folder.with_name(f"{folder.name}.aside")
    folder.rename(aside)
    folder.write_bytes(b"")
    yield scene.rng.uniform(2.0, 5.0)
    yield from scene.told("learn", Degradation.MODEL_STORE_AWAY)
    folder.unlink()
    aside.rename(folder)


def _damaged(model: str, stage: str, damage: Damage, scene: Scene) -> Steps:
    """Damage the newest file, and restart who reads it: it must refuse it, say so, and keep to what is good."""
    service = scene.running(stage)
    if model == _CHECKPOINTS:
        # A stop in order leaves one of the very end.
        yield from scene.until(f"{stage} at work", lambda: service.works)
        yield from scene.drain(service)
    else:
        yield from scene.until("a file in the store", lambda: bool(_files(scene, model)))
        service.kill()
    path = _files(scene, model)[-1]
    content = path.read_bytes()
    path.write_bytes(damage(content))
    service.start()
    refused = _REFUSED.get(model, _KEPT)

    def settled() -> bool:
        # A newer file makes the damaged one unimportant: then nobody reads it.
        return service.says(refused) or _files(scene, model)[-1] != path

    yield from scene.until(f"{stage} takes notice of {path.name}", settled)
    if stage == "score" and service.says(refused):
        yield from scene.until("score to say so", lambda: _told(scene) or _files(scene, model)[-1] != path)
    if path.exists():
        path.write_bytes(content)
    if not service.says(refused):
        yield from _damaged(model, stage, damage, scene)
    yield 0.0


def _told(scene: Scene) -> bool:
    return Degradation.MODEL_REFUSED in scene.world.watch.degraded("score")


def _folder(scene: Scene) -> Path:
    return Path(scene.world.settings.model_store_url) / scene.world.pipeline.name


def _files(scene: Scene, model: str) -> list[Path]:
    return sorted((_folder(scene) / model).glob("*.model"))


def _state_full(scene: Scene) -> Steps:
    """Let none of the files of a service with local state grow, as on a full disk; then there is room again."""
    service = scene.running("labels")
    service.limit_files(0)
    yield scene.rng.uniform(1.0, 4.0)
    yield from scene.told("labels", Degradation.LOCAL_STATE_AWAY)
    service.limit_files(-1)


DISKS: Final = (
    Kind("store.unwritable", _unwritable, ("learn", "score")),
    Kind("snapshot.torn", partial(_damaged, "logistic", "score", _torn), ("score",)),
    Kind("snapshot.tampered", partial(_damaged, "logistic", "score", _tampered), ("score",)),
    Kind("checkpoint.torn", partial(_damaged, _CHECKPOINTS, "learn", _torn), ("learn",)),
    Kind("checkpoint.tampered", partial(_damaged, _CHECKPOINTS, "learn", _tampered), ("learn",)),
    Kind("state.disk-full", _state_full, ("labels",)),
)
"""For services that run apart."""
