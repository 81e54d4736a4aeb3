"""A Transformer that draws pictures, each pixel from those just before it."""

from __future__ import annotations

import torch
from torch import Tensor

from contract.pixels import LEVELS
from contract.preprocessing import CHANNELS
from contract.signature import GenerateSignature
from models.architecture import Tensors
from models.layers.causal_transformer import CausalTransformer
from models.layers.pixel_frame import KNOWN, PREVIOUS, PixelFrame
from models.layers.transformer import LayerShape
from models.pixel_generator import PixelGenerator, PixelGeneratorConfig
from models.prompt_generator import PROMPT, PROMPT_IDS, PROMPT_LENGTHS, PromptGenerator, PromptGeneratorConfig
from models.registry import register


class ImageTransformerConfig(PixelGeneratorConfig, PromptGeneratorConfig):
    """Sizes of an Image Transformer; its vocabulary are the intensities."""

    vocabulary_size: int = LEVELS


@register("image_transformer", ImageTransformerConfig, paper="Parmar et al. 2018")
class ImageTransformer(PixelGenerator, PromptGenerator):
    """Parmar et al. 2018, "Image Transformer": local self-attention in one dimension, categorical intensities.

    The layers see whole pixels in raster order, `window` of them; the channels of a pixel are told one after another
    by the readout. The prompt is the pixels that are given.
    """

    config: ImageTransformerConfig

    def __init__(self, config: ImageTransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.frame = PixelFrame(config.image_size, config.hidden_size, config.feed_forward_size, config.dropout)
        shape = LayerShape(
            config.hidden_size, config.num_heads, config.feed_forward_size, config.dropout, window=config.window
        )
        self.decoder = CausalTransformer(config.decoder_layers, shape)
        self.start()

    @property
    def signature(self) -> GenerateSignature:
        return GenerateSignature(inputs=PROMPT, states=(*self.frame.states(prompted=True), *self.decoder.states()))

    def encode(self, inputs: Tensors) -> dict[str, Tensor]:
        token_ids, lengths = inputs[PROMPT_IDS.name], inputs[PROMPT_LENGTHS.name]
        pixels = token_ids.shape[1] // CHANNELS + 1
        seen = self.frame.see(token_ids, pixels)
        x = self.frame.place(seen.before, torch.arange(pixels, device=token_ids.device))
        stepped = (lengths + CHANNELS - 1) // CHANNELS
        return self.frame.after(seen, lengths) | self.decoder.fill(x, stepped)

    def read(self, token_ids: Tensor) -> Tensor:
        time = token_ids.shape[1]
        pixels = -(-time // CHANNELS)
        seen = self.frame.see(token_ids, pixels)
        x = self.frame.place(seen.before, torch.arange(pixels, device=token_ids.device))
        return self.frame.logits(self.decoder(x), seen.known)[:, :time]

    def teach(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        return self.read(target_ids)

    def step(
        self, token_ids: Tensor, position: Tensor, statics: Tensors, states: Tensors
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        following = self.frame.see_step(token_ids, position, states)
        pixel = position // CHANNELS
        x = self.frame.place(following[PREVIOUS], pixel.unsqueeze(1))
        hidden, caches = self.decoder.step(x, pixel, states)
        return self.frame.logits_step(hidden, following[KNOWN], position), following | caches, None
