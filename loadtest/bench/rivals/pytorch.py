"""The bundle's own architecture in PyTorch, eager, on the bundle's weights or on those of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F

from contract.rows import Array
from contract.signature import GenerateSignature, State
from loadtest.bench.recover import check_golden, recover_model
from loadtest.bench.rivals.onnx import CAPACITY
from loadtest.bench.rivals.plain import Feeds, Plain, PlainGenerator, PlainPredictor
from models.architecture import Architecture, Generator, Predictor
from models.training.run import load_run
from service.runtime.bundle import Bundle, open_bundle
from service.runtime.session import ProviderChoice
from service.runtime.storage import dimensions


def open_torch(folder: Path, provider: str, threads: int, run: Path | None) -> Plain:
    """A bundle's model in float32; where its weights are the bundle's, they must give the bundle's golden numbers.

    Raises:
        RecoverError: the weights cannot be read from the bundle, or do not give its golden numbers.
        ConfigError: the run is not one that fits.
    """
    torch.set_num_threads(threads)
    bundle = open_bundle(folder, provider=cast(ProviderChoice, provider))
    model = load_run(run).model if run else recover_model(bundle.folder, bundle.manifest)
    if run is None:
        check_golden(model, bundle.folder, bundle.manifest)
    model = model.to(bundle.provider).eval()
    if isinstance(model, Predictor):
        return PlainPredictor(bundle, TorchPredict(model, bundle))
    assert isinstance(model, Generator)
    return PlainGenerator(bundle, TorchSteps(model, bundle))


class _OnDevice:
    """A model, and how arrays come to it."""

    def __init__(self, model: Architecture, bundle: Bundle) -> None:
        self.model, self.device = model, bundle.provider

    def put(self, feeds: Feeds) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(np.asarray(array)).to(self.device) for name, array in feeds.items()}


class TorchPredict(_OnDevice):
    """A one-shot model."""

    def __call__(self, feeds: Feeds) -> Feeds:
        with torch.inference_mode():
            outputs: dict[str, torch.Tensor] = self.model(self.put(feeds))
            return {name: value.cpu().numpy() for name, value in outputs.items()}


class TorchSteps(_OnDevice):
    """An encoder-decoder."""

    def __call__(self, parts: Sequence[Feeds]) -> TorchRun:
        (part,) = parts
        return TorchRun(self, self.put(part))


class TorchRun:
    """A batch whose states stay on the device."""

    def __init__(self, steps: TorchSteps, inputs: dict[str, torch.Tensor]) -> None:
        assert isinstance(steps.model, Generator)
        self._steps, self._model, self._signature = steps, steps.model, steps.model.signature
        assert isinstance(self._signature, GenerateSignature)
        self._capacity = CAPACITY
        with torch.inference_mode():
            known = inputs | self._model.encode(inputs)
            self._statics = {static.name: known[static.name] for static in self._signature.statics}
            self._states = {state.name: self._first(state, known) for state in self._signature.states}

    def next(self, tokens: Array, position: int) -> Array:
        with torch.inference_mode():
            if position == self._capacity:
                self._capacity *= 2
                grown = {s.name: self._grown(s, self._states[s.name]) for s in self._signature.states}
                self._states |= grown
            ids = torch.from_numpy(tokens).to(self._steps.device)
            places = torch.full_like(ids, position)
            logits, self._states, _ = self._model.step(ids, places, self._statics, self._states)
            found: Array = logits.argmax(dim=-1).cpu().numpy()
            return found

    def _first(self, state: State, known: dict[str, torch.Tensor]) -> torch.Tensor:
        rows = len(next(iter(known.values())))
        if state.initial is None:
            empty = torch.zeros(rows, *dimensions(state, {"target": 0}), device=self._steps.device)
            return self._grown(state, empty)
        return self._grown(state, known[state.initial])

    def _grown(self, state: State, values: torch.Tensor) -> torch.Tensor:
        """What a state holds, with places for what is to come."""
        if state.write != "at_position":
            return values
        axis = state.axes.index("target")
        room = [0, 0] * (values.ndim - axis - 1) + [0, self._capacity - values.shape[axis]]
        return F.pad(values, room)
