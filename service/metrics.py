"""Every metric of the service, declared once: prefix `seqserve_`, base units, label values from closed sets.

`task` and `model` are names that are served (empty where a request named none that is, or was refused before that was
read), `outcome` and `reason` come from the code. With several worker processes, the figures of all are summed when they
are read.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client import generate_latest as _generate
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from contract.manifest import Manifest
from service.runtime.errors import DeadlineExceededError, EngineFailedError, QueueFullError
from service.runtime.requests import Generation, Observer

__all__ = ["CONTENT_TYPE_LATEST", "DecodingMetrics", "ModelMetrics", "OneShotMetrics", "render"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STEP_SECONDS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 1.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_COST = (16, 64, 256, 1024, 4096, 16384, 65536)
_RATIO = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
_OUR_FAULTS = (QueueFullError.reason, DeadlineExceededError.reason, EngineFailedError.reason, "internal-error")
"""Reasons that alerts are made of. They are counted from 0 on: what appears with its first fault has not grown."""

REQUEST_DURATION = Histogram(
    "seqserve_request_duration_seconds",
    "From the first byte of a request to the last byte of its reply.",
    ("task", "model", "outcome"),
    buckets=_SECONDS,
)
REJECTED = Counter("seqserve_rejected_total", "Requests that were not served.", ("task", "reason"))
PREPROCESS = Histogram(
    "seqserve_preprocess_duration_seconds",
    "From what was sent to ids or pixels, a request.",
    ("task", "model"),
    buckets=_STEP_SECONDS,
)
POSTPROCESS = Histogram(
    "seqserve_postprocess_duration_seconds",
    "From what the model gave to what is replied, a request.",
    ("task", "model"),
    buckets=_STEP_SECONDS,
)
QUEUE = Histogram(
    "seqserve_queue_duration_seconds", "From submission to the start of work, a row.", ("model",), buckets=_SECONDS
)
INFERENCE = Histogram(
    "seqserve_inference_duration_seconds", "One run of a graph.", ("model", "graph"), buckets=_STEP_SECONDS
)
FIRST_TOKEN = Histogram(
    "seqserve_time_to_first_token_seconds", "From submission to the first token.", ("model",), buckets=_SECONDS
)
INTER_TOKEN = Histogram(
    "seqserve_inter_token_seconds",
    "Mean time between tokens after the first, a sentence.",
    ("model",),
    buckets=_STEP_SECONDS,
)
BATCH_ROWS = Histogram("seqserve_batch_rows", "Rows of one run of a graph.", ("model", "graph"), buckets=_ROWS)
BATCH_COST = Histogram(
    "seqserve_batch_cost_tokens", "Rows × padded size of the inputs of one batch.", ("model",), buckets=_COST
)
PADDING = Histogram(
    "seqserve_batch_padding_ratio", "Share of padding in one batch of inputs.", ("model",), buckets=_RATIO
)
QUEUE_DEPTH = Gauge("seqserve_queue_depth", "Rows that wait.", ("model",), multiprocess_mode="livesum")
RUNNING_ROWS = Gauge("seqserve_running_rows", "Rows that are being decoded.", ("model",), multiprocess_mode="livesum")
TOKENS = Counter("seqserve_tokens_total", "Tokens read and written.", ("model", "direction"))
MEMORY = Gauge("seqserve_resident_memory_bytes", "Memory that the worker processes hold.", multiprocess_mode="livesum")
MEMORY_LIMIT = Gauge(
    "seqserve_memory_limit_bytes",
    "Memory that the container may take, or that the machine has.",
    multiprocess_mode="livemax",
)
CPU_SECONDS = Counter("seqserve_cpu_seconds_total", "Processor time of the worker processes.")
START_TIME = Gauge(
    "seqserve_start_time_seconds",
    "When the youngest worker process started, in seconds since 1970.",
    multiprocess_mode="livemax",
)
GPU_UTILISATION = Gauge(
    "seqserve_gpu_utilization_ratio",
    "Share of the last moments in which the GPU was busy, whoever used it.",
    ("gpu",),
    multiprocess_mode="livemostrecent",
)
GPU_MEMORY_USED = Gauge(
    "seqserve_gpu_memory_used_bytes",
    "Memory of the GPU that is taken, by whomever.",
    ("gpu",),
    multiprocess_mode="livemostrecent",
)
GPU_MEMORY_TOTAL = Gauge(
    "seqserve_gpu_memory_total_bytes", "Memory that the GPU has.", ("gpu",), multiprocess_mode="livemostrecent"
)
MODEL_INFO = Gauge(
    "seqserve_model_info",
    "1 for each model that is loaded, 0 for one that was.",
    ("model", "version", "task", "precision", "provider"),
    multiprocess_mode="livemax",
)
BUNDLE_REFUSED = Gauge(
    "seqserve_bundle_refused",
    "1 for each bundle that is not served for its faults, 0 for one that was.",
    ("model", "version"),
    multiprocess_mode="livemax",
)


class ModelMetrics(Observer):
    """One model's figures, as the HTTP face and the runtime report them."""

    def __init__(self, manifest: Manifest, precision: str, provider: str) -> None:
        name = manifest.name
        self._info = MODEL_INFO.labels(name, manifest.version, manifest.task, precision, provider)
        self._preprocess = PREPROCESS.labels(manifest.task, name)
        self._postprocess = POSTPROCESS.labels(manifest.task, name)
        self._queue, self._depth = QUEUE.labels(name), QUEUE_DEPTH.labels(name)
        self._cost, self._padding = BATCH_COST.labels(name), PADDING.labels(name)
        self._read = TOKENS.labels(name, "input")
        for reason in _OUR_FAULTS:
            REJECTED.labels(manifest.task, reason)

    def loaded(self, is_loaded: bool) -> None:
        """Whether it is loaded: one version is until its requests are done while the next one serves already."""
        self._info.set(is_loaded)

    def preprocessed(self, seconds: float, tokens: int) -> None:
        """What a request sent became this many ids."""
        self._preprocess.observe(seconds)
        self._read.inc(tokens)

    def postprocessed(self, seconds: float) -> None:
        """What the model gave became what is replied."""
        self._postprocess.observe(seconds)

    def sampled(self, depth: int, rows: int | None) -> None:
        """What the gauges show when they are read: an engine with nothing to do reports nothing by itself.

        `rows` are those that a model which decodes is decoding.
        """
        self._depth.set(depth)

    def queued(self, depth: int) -> None:
        self._depth.set(depth)

    def admitted(self, queue_seconds: float) -> None:
        self._queue.observe(queue_seconds)

    def dropped(self, reason: str) -> None:
        """A row was dropped; its request is counted once, by the HTTP face, under the same reason."""


class DecodingMetrics(ModelMetrics):
    """The figures of a model that decodes."""

    def __init__(self, manifest: Manifest, precision: str, provider: str) -> None:
        super().__init__(manifest, precision, provider)
        name = manifest.name
        self._encode_seconds, self._step_seconds = INFERENCE.labels(name, "encode"), INFERENCE.labels(name, "step")
        self._encode_rows, self._step_rows = BATCH_ROWS.labels(name, "encode"), BATCH_ROWS.labels(name, "step")
        self._first_token, self._inter_token = FIRST_TOKEN.labels(name), INTER_TOKEN.labels(name)
        self._running = RUNNING_ROWS.labels(name)
        self._written = TOKENS.labels(name, "output")

    def sampled(self, depth: int, rows: int | None) -> None:
        super().sampled(depth, rows)
        self._running.set(rows or 0)

    def encoded(self, rows: int, cost: int, padding: float, seconds: float) -> None:
        self._encode_seconds.observe(seconds)
        self._encode_rows.observe(rows)
        self._cost.observe(cost)
        self._padding.observe(padding)

    def stepped(self, rows: int, seconds: float) -> None:
        self._step_seconds.observe(seconds)
        self._step_rows.observe(rows)
        self._running.set(rows)

    def first_token(self, seconds: float) -> None:
        self._first_token.observe(seconds)

    def finished(self, generation: Generation) -> None:
        self._written.inc(len(generation.hypotheses[0].token_ids))
        if generation.steps > 1:
            after_first = generation.total_seconds - generation.first_token_seconds
            self._inter_token.observe(after_first / (generation.steps - 1))


class OneShotMetrics(ModelMetrics):
    """The figures of a model that answers in a single pass."""

    def __init__(self, manifest: Manifest, precision: str, provider: str) -> None:
        super().__init__(manifest, precision, provider)
        self._seconds = INFERENCE.labels(manifest.name, "predict")
        self._rows = BATCH_ROWS.labels(manifest.name, "predict")

    def predicted(self, rows: int, cost: int, padding: float, seconds: float) -> None:
        self._seconds.observe(seconds)
        self._rows.observe(rows)
        self._cost.observe(cost)
        self._padding.observe(padding)


def render() -> bytes:
    """All figures in Prometheus' text format, summed over the worker processes where there are several."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is None:
        return _generate(REGISTRY)
    _forget_dead_workers(folder)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return _generate(registry)


def _forget_dead_workers(folder: str) -> None:
    """Drop the gauges that dead workers left behind, or their queues would count for ever. What they counted stays."""
    for process in {int(path.stem.rpartition("_")[2]) for path in Path(folder).glob("gauge_live*_*.db")}:
        if not _is_worker(process):
            # Another worker may be asked for the figures at the same time.
            with suppress(FileNotFoundError):
                mark_process_dead(process, folder)  # type: ignore[no-untyped-call]


def _is_worker(process: int) -> bool:
    """Whether a process runs, and for the same supervisor as this one: ids of processes that ended are given again."""
    try:
        found = psutil.Process(process)
        return found.ppid() == os.getppid() and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
