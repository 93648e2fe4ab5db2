"""Puts health and telemetry on a process, as far as its settings ask for them; nothing of theirs is imported before."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Final

from riverrun import __version__
from riverrun.errors import SettingsError
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.tracing import Tracing
from riverrun.runtime.worker import Worker
from riverrun.telemetry.settings import HealthSettings, OtlpSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from riverrun.runtime.meter import Sample
    from riverrun.telemetry.otlp_traces import OtlpTracing

__all__ = ["Telemetry", "telling_life"]

_MODULES: Final = "riverrun.telemetry"


class Telemetry:
    """What one process tells of itself.

    Parameters
    ----------
    pipeline
        The pipeline's name.
    stages
        Names of the stages that the process runs.
    environment
        The settings.

    Raises
    ------
    SettingsError
        If a setting is malformed, or OpenTelemetry is asked for and not installed.
    """

    def __init__(self, pipeline: str, stages: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        env = os.environ if environment is None else environment
        self._pipeline = pipeline
        self._health = HealthSettings.from_environment(env)
        self._otlp = OtlpSettings.from_environment(env)
        self._resource: Resource | None = None
        self._traces: OtlpTracing | None = None
        if self._otlp is None:
            return
        try:
            self._resource = _resource(pipeline, stages, env)
            if self._otlp.traces:
                traces = import_module(f"{_MODULES}.otlp_traces")
                self._traces = traces.OtlpTracing(self._resource, self._otlp.sampling)
        except ImportError as error:
            raise SettingsError(
                f"an OTLP endpoint is set, but OpenTelemetry cannot be imported: {error}",
                hint="pip install 'riverrun[telemetry]', or unset OTEL_EXPORTER_OTLP_ENDPOINT",
            ) from error

    @property
    def tracing(self) -> Tracing | None:
        """What the runtime traces with, if anything."""
        return self._traces

    @contextmanager
    def watching(self, worker: Worker, deployment: Deployment) -> Iterator[None]:
        """Tell of a worker for as long as the context lasts.

        Raises
        ------
        SettingsError
            If the address of the health endpoint cannot be listened on.
        """
        with ExitStack() as stack:
            if self._traces is not None:
                stack.callback(self._traces.close)
            if self._health is not None:
                self._serve(stack, self._health, worker, deployment)
            if self._otlp is not None and self._otlp.metrics:
                push = import_module(f"{_MODULES}.otlp_metrics").MetricPush(
                    lambda: _collect(worker, deployment), self._resource, self._otlp.interval_s
                )
                push.start()
                stack.callback(push.close)
            yield

    def _serve(self, stack: ExitStack, settings: HealthSettings, worker: Worker, deployment: Deployment) -> None:
        health_module = import_module(f"{_MODULES}.health")
        health = health_module.Health(worker, deployment)
        watch = health_module.HealthWatch(health, worker, deployment)
        write = import_module(f"{_MODULES}.exposition").exposition
        common = {"pipeline": self._pipeline}
        endpoint = import_module(f"{_MODULES}.endpoint").HealthEndpoint(
            settings, health.live, health.ready, lambda: write(_collect(worker, deployment), common)
        )
        endpoint.start()
        stack.callback(endpoint.close)
        watch.start()
        stack.callback(watch.stop)


@contextmanager
def telling_life(pipeline: str, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """Tell that a process lives that runs no stages, with its memory and processor time, if the settings ask for it.

    Parameters
    ----------
    pipeline
        The pipeline's name.
    environment
        The settings.

    Raises
    ------
    SettingsError
        If the address of the health endpoint is none, or cannot be listened on.
    """
    settings = HealthSettings.from_environment(environment)
    if settings is None:
        yield
        return
    life = import_module(f"{_MODULES}.health").Report(well=True, document={"live": True, "pipeline": pipeline})
    write = import_module(f"{_MODULES}.exposition").exposition
    of_process = import_module(f"{_MODULES}.collecting").of_process
    endpoint = import_module(f"{_MODULES}.endpoint").HealthEndpoint(
        settings, lambda: life, lambda: life, lambda: write(of_process(), {"pipeline": pipeline})
    )
    endpoint.start()
    try:
        yield
    finally:
        endpoint.close()


def _collect(worker: Worker, deployment: Deployment) -> list[Sample]:
    samples: list[Sample] = import_module(f"{_MODULES}.collecting").collect(worker, deployment)
    return samples


def _resource(pipeline: str, stages: Sequence[str], env: Mapping[str, str]) -> Resource:
    """Return what the process is called; OpenTelemetry's own variables win."""
    resources = import_module("opentelemetry.sdk.resources")
    own: dict[str, str] = {
        "service.namespace": pipeline,
        "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
        "service.version": __version__,
        "riverrun.pipeline": pipeline,
    }
    given = env.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not env.get("OTEL_SERVICE_NAME", "") and "service.name=" not in given:
        own["service.name"] = f"riverrun-{'-'.join(stages)}"
    named = {name for each in given.split(",") if (name := each.partition("=")[0].strip())}
    resource: Resource = resources.Resource.create({name: value for name, value in own.items() if name not in named})
    return resource
