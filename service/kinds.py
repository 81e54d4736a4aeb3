"""Every task that is served: the engine its models run on, and what stands before and after them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar, runtime_checkable

from contract.tasks import TaskName
from service.metrics import DecodingMetrics, ModelMetrics, OneShotMetrics
from service.runtime.bundle import Bundle
from service.runtime.decoding import DecodingEngine, EngineSettings
from service.runtime.oneshot import OneShotEngine, OneShotSettings
from service.settings import Settings
from service.tasks.answer import Answerer
from service.tasks.caption import Captioner
from service.tasks.classify import Classifier
from service.tasks.generate import Composer
from service.tasks.limits import RequestLimits
from service.tasks.paint import Completer, Upscaler
from service.tasks.recommend import Recommender
from service.tasks.tag import Tagger
from service.tasks.translate import Translator


class Engine(Protocol):
    """What runs a model, as its life cycle sees it."""

    @property
    def alive(self) -> bool:
        """Whether it works."""

    @property
    def queue_depth(self) -> int:
        """Rows that wait."""

    @property
    def room(self) -> int:
        """Rows that would be let in now."""

    def start(self) -> None:
        """Warm up and begin. Blocking."""

    def close(self, *, drain: bool) -> None:
        """Stop; without `drain`, what is pending is dropped."""


@runtime_checkable
class SlotEngine(Protocol):
    """An engine whose rows keep their slots from step to step."""

    @property
    def slots(self) -> int:
        """Rows that it decodes at once."""

    @property
    def running_rows(self) -> int:
        """Rows that it decodes now."""


EngineT = TypeVar("EngineT", bound=Engine)
TaskT = TypeVar("TaskT")
TaskT_co = TypeVar("TaskT_co", covariant=True)


@dataclass(frozen=True)
class Model(Generic[TaskT_co]):
    """A loaded bundle: its engine, what stands around it, and where its figures go."""

    bundle: Bundle
    engine: Engine
    task: TaskT_co
    metrics: ModelMetrics

    @property
    def name(self) -> str:
        """Name of the bundle, by which requests pick it."""
        return self.bundle.manifest.name

    @property
    def version(self) -> str:
        """Version of the bundle."""
        return self.bundle.manifest.version

    def start(self) -> None:
        """Warm up, and take requests. Blocking."""
        self.engine.start()
        self.metrics.loaded(True)

    def close(self, *, drain: bool) -> None:
        """Take no more requests; without `drain`, what is pending is dropped. Blocking."""
        self.engine.close(drain=drain)
        self.metrics.loaded(False)


@dataclass(frozen=True)
class Kind(Generic[TaskT_co]):
    """How the models of one task are served; `load` opens a model whose engine has yet to be started."""

    task: TaskName
    load: Callable[[Bundle, Settings], Model[TaskT_co]]


def _kind(
    task: TaskName,
    engine: Callable[[Bundle, Settings], tuple[EngineT, ModelMetrics]],
    logic: Callable[[Bundle, EngineT, RequestLimits], TaskT],
) -> Kind[TaskT]:
    def load(bundle: Bundle, settings: Settings) -> Model[TaskT]:
        limits = RequestLimits(
            settings.max_characters, settings.max_explain_tokens, settings.max_beam_size, settings.max_image_bytes
        )
        running, metrics = engine(bundle, settings)
        return Model(bundle, running, logic(bundle, running, limits), metrics)

    return Kind(task, load)


def _decoding(bundle: Bundle, settings: Settings) -> tuple[DecodingEngine, ModelMetrics]:
    metrics = DecodingMetrics(bundle.manifest, bundle.variant.precision, bundle.provider)
    bounds = EngineSettings(max_queue=settings.max_queue)
    if settings.slots is not None:
        bounds = replace(bounds, slots=settings.slots)
    return DecodingEngine(bundle, bounds, metrics), metrics


def _one_shot(bundle: Bundle, settings: Settings) -> tuple[OneShotEngine, ModelMetrics]:
    metrics = OneShotMetrics(bundle.manifest, bundle.variant.precision, bundle.provider)
    # Small graphs gain more from several runs side by side than from several threads in one (docs/decisions/0009).
    workers = settings.compute_threads if bundle.provider == "cpu" else 1
    return OneShotEngine(bundle, OneShotSettings(settings.max_queue, workers=workers), metrics), metrics


TRANSLATE = _kind("translate", _decoding, Translator)
CAPTION = _kind("caption", _decoding, Captioner)
GENERATE = _kind("generate", _decoding, Composer)
COMPLETE_IMAGE = _kind("complete-image", _decoding, Completer)
UPSCALE = _kind("upscale", _decoding, Upscaler)
CLASSIFY = _kind("classify", _one_shot, Classifier)
TAG = _kind("tag", _one_shot, Tagger)
RECOMMEND = _kind("recommend", _one_shot, Recommender)
ANSWER = _kind("answer", _one_shot, Answerer)

KINDS: dict[TaskName, Kind[object]] = {
    kind.task: kind
    for kind in (TRANSLATE, CAPTION, GENERATE, COMPLETE_IMAGE, UPSCALE, CLASSIFY, TAG, RECOMMEND, ANSWER)
}
