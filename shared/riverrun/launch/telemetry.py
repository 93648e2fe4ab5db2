"""Puts health and telemetry on a process, as far as its settings ask for them; nothing of theirs is imported before."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Final

from riverrun import __version__
from riverrun.errors import SettingsError
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.tracing import RequestTracing, Tracing
from riverrun.runtime.worker import Worker
from riverrun.telemetry.settings import HealthSettings, OtlpSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from riverrun.runtime.meter import Sample
    from riverrun.telemetry.health import Report
    from riverrun.telemetry.otlp_traces import OtlpTracing

    Collect = Callable[[], list[Sample]]

__all__ = ["Telemetry"]

_MODULES: Final = "riverrun.telemetry"


class Telemetry:
    """What one process tells of itself.

    Parameters
    ----------
    pipeline
        The pipeline's name.
    stages
        Names of the stages that the process runs, or that of the service.
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

    @property
    def requests(self) -> RequestTracing | None:
        """What requests by HTTP are traced with, if anything."""
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
            if self._health is not None:
                self._serve(stack, self._health, worker, deployment)
            stack.enter_context(self.pushing(lambda: _collect(worker, deployment)))
            yield

    @contextmanager
    def living(self, count: Collect, ready: Callable[[], Report] | None = None) -> Iterator[None]:
        """Tell that a process lives that runs no stages, what it counts, and its memory and processor time.

        Parameters
        ----------
        count
            Returns its own series.
        ready
            Tells whether it works; if it lives, unless given.

        Raises
        ------
        SettingsError
            If the address of the health endpoint is none, or cannot be listened on.
        """
        collecting = import_module(f"{_MODULES}.collecting")

        def collect() -> list[Sample]:
            samples: list[Sample] = collecting.in_order([*count(), *collecting.of_process()])
            return samples

        with ExitStack() as stack:
            if self._health is not None:
                life = {"live": True, "pipeline": self._pipeline}
                report = import_module(f"{_MODULES}.health").Report(well=True, document=life)
                self._listen(stack, self._health, (lambda: report, ready or (lambda: report)), collect)
            stack.enter_context(self.pushing(collect))
            yield

    @contextmanager
    def pushing(self, collect: Collect) -> Iterator[None]:
        """Send metrics by OTLP for as long as the context lasts, and the last traces at its end, if asked for."""
        with ExitStack() as stack:
            if self._traces is not None:
                stack.callback(self._traces.close)
            if self._otlp is not None and self._otlp.metrics:
                push = import_module(f"{_MODULES}.otlp_metrics").MetricPush(
                    collect, self._resource, self._otlp.interval_s
                )
                push.start()
                stack.callback(push.close)
            yield

    def _serve(self, stack: ExitStack, settings: HealthSettings, worker: Worker, deployment: Deployment) -> None:
        health_module = import_module(f"{_MODULES}.health")
        health = health_module.Health(worker, deployment)
        watch = health_module.HealthWatch(health, worker, deployment)
        self._listen(stack, settings, (health.live, health.ready), lambda: _collect(worker, deployment))
        watch.start()
        stack.callback(watch.stop)

    def _listen(
        self,
        stack: ExitStack,
        settings: HealthSettings,
        reports: tuple[Callable[[], Report], Callable[[], Report]],
        collect: Collect,
    ) -> None:
        write = import_module(f"{_MODULES}.exposition").exposition
        common = {"pipeline": self._pipeline}
        endpoint = import_module(f"{_MODULES}.endpoint").HealthEndpoint(
            settings, *reports, lambda: write(collect(), common)
        )
        endpoint.start()
        stack.callback(endpoint.close)


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
