"""The base of generators without a source: a prompt in, what follows it out."""

from __future__ import annotations

from abc import abstractmethod

import torch
from pydantic import Field
from torch import Tensor

from contract.signature import Tensor as TensorSpec
from contract.text import PAD_ID
from models.architecture import Generator, Tensors
from models.registry import ArchitectureConfig

PROMPT_IDS = TensorSpec(name="prompt_ids", dtype="int64", axes=("rows", "target"))
PROMPT_LENGTHS = TensorSpec(name="prompt_lengths", dtype="int64", axes=("rows",))
PROMPT = (PROMPT_IDS, PROMPT_LENGTHS)
"""The inputs, as the signature lists them: what stands before the token that the first step reads, perhaps nothing."""


class PromptGeneratorConfig(ArchitectureConfig):
    """What all generators without a source have: the size of the vocabulary, which the data gives."""

    vocabulary_size: int = Field(ge=1)


class PromptGenerator(Generator):
    """A language model (Bengio et al. 2003), of whatever is written as a sequence of tokens."""

    config: PromptGeneratorConfig

    @abstractmethod
    def read(self, token_ids: Tensor) -> Tensor:
        """What each token is followed by: `token_ids [rows, time]`, starting with BOS → logits `[rows, time, …]`."""

    def forward(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        """Teacher-forced logits of what follows the prompts: the target's first token stands where a prompt ends."""
        lengths, (rows, time) = inputs[PROMPT_LENGTHS.name], target_ids.shape
        prompt_ids = inputs[PROMPT_IDS.name]
        whole = torch.full((rows, prompt_ids.shape[1] + time), PAD_ID, device=target_ids.device)
        whole[:, : prompt_ids.shape[1]] = prompt_ids
        places = lengths[:, None] + torch.arange(time, device=target_ids.device)  # [rows, target]
        logits = self.read(whole.scatter(1, places, target_ids))
        return logits.gather(1, places.unsqueeze(2).expand(-1, -1, logits.shape[2]))
