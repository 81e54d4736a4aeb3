"""An engine without a model, for what stands around the engine: it says what it is told, word by word."""

from __future__ import annotations

import atexit
import shutil
import string
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from contract.manifest import DecodingDefaults, File, Graph, Licence, Limits, Manifest, SpecialIds, Variant
from contract.preprocessing import TextPreprocessing
from contract.signature import Attention, GenerateSignature, State, Tensor
from contract.text import SPECIAL_TOKENS, UNK, TextCodec
from service.catalogue import Catalogue
from service.kinds import Model
from service.metrics import DecodingMetrics
from service.runtime.bundle import Bundle
from service.runtime.errors import (
    BeamTooWideError,
    DeadlineExceededError,
    EngineFailedError,
    QueueFullError,
    ShuttingDownError,
)
from service.runtime.requests import Array, GenerateRequest, Generation, Hypothesis, Run
from service.tasks.limits import RequestLimits
from service.tasks.translate import Translator

SOURCE_LIMIT = 24
SENTENCES = [
    "A man is riding a bicycle.",
    "Two dogs play in the snow!",
    "Is the girl reading a red book?",
    "Ein Mann fährt Fahrrad, z.B. in Köln.",
]


@cache
def make_codec() -> TextCodec:
    tokenizer = Tokenizer(models.BPE(unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=150,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=list(string.ascii_letters + string.punctuation),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return TextCodec(tokenizer)


def make_manifest(name: str, *, attention: bool = True, vocabulary_size: int = 150) -> Manifest:
    signature = GenerateSignature(
        inputs=(
            Tensor(name="source_ids", dtype="int64", axes=("rows", "source")),
            Tensor(name="source_lengths", dtype="int64", axes=("rows",)),
        ),
        states=(State(name="hidden", dtype="float32", axes=("rows", 4), initial="start"),),
        attention=Attention(axes=("target", "source")) if attention else None,
        explain="explain" if attention else None,
    )
    graphs = tuple(
        Graph(kind=kind, file=f"{kind}.onnx", inputs=signature.graph(kind)[0], outputs=signature.graph(kind)[1])
        for kind in signature.graph_kinds()
    )
    variant = Variant(
        precision="fp32", provider="any", status="verified", graphs=graphs, golden="golden.npz", tolerance=1e-4
    )
    used = [graph.file for graph in graphs] + ["golden.npz", "tokenizer.json"]
    return Manifest(
        schema_version=1,
        name=name,
        version="1.2",
        task="translate",
        architecture="none",
        parameters=1,
        created="2026-01-01T00:00:00Z",
        opset=24,
        signature=signature,
        variants=(variant,),
        vocabulary_size=vocabulary_size,
        special=SpecialIds(pad=0, unk=1, bos=2, eos=3),
        limits=Limits(source=SOURCE_LIMIT, target=40),
        decoding=DecodingDefaults(beam_size=2),
        preprocessing=TextPreprocessing(
            source_tokenizer="tokenizer.json", target_tokenizer="tokenizer.json", source_language="en"
        ),
        licence=Licence(data="none", source="made up", terms="none"),
        files={file: File(bytes=0, sha256="0" * 64) for file in used},
    )


@dataclass(eq=False)
class FakeTicket:
    request: Any
    future: Future[Any] = field(default_factory=Future)

    def cancel(self) -> None:
        self.future.cancel()


class FakeQueue:
    """What engines have in common: a bounded queue and a thread that works on it.

    While held, nothing is worked on. `seen` and `tickets` keep every request that was submitted.
    """

    def __init__(self, *, max_queue: int = 64) -> None:
        self.max_queue = max_queue
        self.seen: list[Any] = []
        self.tickets: list[FakeTicket] = []
        self.error: Exception | None = None
        self._queue: deque[FakeTicket] = deque()
        self._wake = threading.Condition()
        self._held = False
        self._closing = False
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def queue_depth(self) -> int:
        return len(self._queue)

    @property
    def room(self) -> int:
        return self.max_queue - len(self._queue)

    def start(self) -> None:
        """It works from the start."""

    def hold(self) -> None:
        self._held = True

    def release(self) -> None:
        with self._wake:
            self._held = False
            self._wake.notify()

    def submit(self, request: Any) -> FakeTicket:
        if self.error is not None:
            raise self.error
        self.check(request)
        ticket = FakeTicket(request)
        with self._wake:
            if self._closing:
                raise ShuttingDownError
            if self.room <= 0:
                raise QueueFullError
            self.seen.append(request)
            self.tickets.append(ticket)
            self._queue.append(ticket)
            self._wake.notify()
        return ticket

    def close(self, *, drain: bool = True, timeout: float = 30.0) -> None:
        with self._wake:
            self._closing = True
            waiting = list(self._queue)
            self._wake.notify()
        if not drain:
            for ticket in waiting:
                ticket.cancel()
        self.release()
        self._thread.join(timeout)

    def check(self, request: Any) -> None:
        raise NotImplementedError

    def work(self, ticket: FakeTicket) -> None:
        raise NotImplementedError

    def _loop(self) -> None:
        while True:
            with self._wake:
                while self._held or not (self._queue or self._closing):
                    self._wake.wait()
                if not self._queue:
                    return
                ticket = self._queue.popleft()
            deadline = ticket.request.deadline
            if ticket.future.cancelled():
                continue
            if deadline is not None and time.monotonic() > deadline:
                settle(ticket.future, DeadlineExceededError())
            else:
                self.work(ticket)


class FakeEngine(FakeQueue):
    """Repeats the source, a token at a time; the second-best hypothesis lacks its last token."""

    slots = 8
    running_rows = 0
    fail_after: int | None = None
    pause_after: int | None = None

    def check(self, request: GenerateRequest) -> None:
        if request.search.beam_size > self.slots:
            raise BeamTooWideError(request.search.beam_size, self.slots)

    def spell(self, request: GenerateRequest) -> list[int]:
        """What is said of an input."""
        return [int(i) for i in request.inputs["source_ids"][:-1]]

    def explain(self, inputs: Mapping[str, Array], token_ids: list[list[int]]) -> NDArray[np.float32]:
        rows, source = max(map(len, token_ids)) + 1, len(inputs["source_ids"])
        return np.full((len(token_ids), rows, source), 1 / source, dtype=np.float32)

    def work(self, ticket: FakeTicket) -> None:
        request = ticket.request
        ids = self.spell(request)
        finished = len(ids) < request.search.max_length
        ids = ids[: request.search.max_length]
        for count, token in enumerate(ids if request.on_tokens else ()):
            if count == self.fail_after:
                settle(ticket.future, EngineFailedError("a step failed"))
                return
            if count == self.pause_after:
                return
            assert request.on_tokens is not None
            request.on_tokens([token])
        best = Hypothesis(ids, -0.5, -0.5 * (len(ids) + 1), finished)
        other = Hypothesis(ids[:-1], -0.75, -0.75 * len(ids), finished)
        hypotheses = [best, other][: request.search.alternatives]
        settle(ticket.future, Generation(hypotheses, Run("encode", 1.0, 1.001, 1), 0.0, 0.001, 0.002, len(ids) + 1))


def settle(future: Future[Any], result: object) -> None:
    try:
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
    except InvalidStateError:
        assert future.cancelled()


def make_bundle(name: str = "echo", *, attention: bool = True) -> Bundle:
    manifest = make_manifest(name, attention=attention)
    return Bundle(_folder(), manifest, manifest.variants[0], "cpu")


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="seqserve-fake-"))
    atexit.register(shutil.rmtree, folder)
    make_codec().save(folder / "tokenizer.json")
    return folder


def make_catalogue(engine: FakeEngine, limits: RequestLimits | None = None) -> Catalogue:
    """Two models over one engine: `echo`, the default, and `mute`, which has no attention."""
    catalogue = []
    for name, attention in (("echo", True), ("mute", False)):
        bundle = make_bundle(name, attention=attention)
        metrics = DecodingMetrics(bundle.manifest, "fp32", "cpu")
        metrics.loaded(True)
        translator = Translator(bundle, engine, limits)  # type: ignore[arg-type]
        catalogue.append(Model(bundle, engine, translator, metrics))
    return Catalogue(catalogue, {})
