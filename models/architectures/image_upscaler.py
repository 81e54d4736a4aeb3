"""A Transformer that draws a picture anew from a small one."""

from __future__ import annotations

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from contract.preprocessing import CHANNELS
from contract.signature import GenerateSignature
from contract.signature import Tensor as TensorSpec
from models.architecture import Tensors
from models.layers.pixel_frame import KNOWN, PREVIOUS, PixelFrame
from models.layers.pixels import PixelEmbedding
from models.layers.transformer import EncoderLayer, LayerShape
from models.layers.transformer_decoder import TransformerDecoder
from models.pixel_generator import PixelGenerator, PixelGeneratorConfig
from models.registry import register

SOURCE = "source"


class ImageUpscalerConfig(PixelGeneratorConfig):
    """Sizes of an Image Transformer that draws from a square of `source_size` pixels a side."""

    source_size: int = Field(default=8, ge=2)
    encoder_layers: int = Field(default=2, ge=1)

    @model_validator(mode="after")
    def _whole_pixels(self) -> Self:
        if self.image_size % self.source_size:
            raise ValueError(f"image_size {self.image_size} must be a multiple of source_size {self.source_size}")
        return self


@register("image_upscaler", ImageUpscalerConfig, paper="Parmar et al. 2018")
class ImageUpscaler(PixelGenerator):
    """Parmar et al. 2018, "Image Transformer", section 5.2: super-resolution.

    An encoder reads the small picture, every pixel of it seeing all others; the decoder attends to it in every layer.
    Each pixel that is drawn also starts from what the encoder makes of the small pixel that it is a part of, which
    attention would have to learn to find.
    """

    config: ImageUpscalerConfig

    def __init__(self, config: ImageUpscalerConfig) -> None:
        super().__init__()
        self.config = config
        size = config.hidden_size
        self.frame = PixelFrame(config.image_size, size, config.feed_forward_size, config.dropout)
        self.source_embedding = PixelEmbedding(size)
        self.source_positions = nn.Parameter(torch.randn(config.source_size**2, size) * 0.1)
        shape = LayerShape(size, config.num_heads, config.feed_forward_size, config.dropout)
        self.encoder = nn.ModuleList(EncoderLayer(shape) for _ in range(config.encoder_layers))
        self.encoder_norm = nn.LayerNorm(size)
        self.decoder = TransformerDecoder(config.decoder_layers, shape._replace(window=config.window))
        self.start()

    @property
    def source_size(self) -> int:
        return self.config.source_size

    @property
    def signature(self) -> GenerateSignature:
        side, size = self.config.source_size, self.config.hidden_size
        source = TensorSpec(name=SOURCE, dtype="float32", axes=("rows", side * side, size))
        return GenerateSignature(
            inputs=(TensorSpec(name="pixels", dtype="uint8", axes=("rows", side, side, 3)),),
            statics=(source, *self.decoder.statics()),
            states=(*self.frame.states(prompted=False), *self.decoder.states(side * side)),
        )

    def encode(self, inputs: Tensors) -> dict[str, Tensor]:
        source = self._read(inputs["pixels"])
        return {SOURCE: source} | self.decoder.encoded(self.decoder.project(source), self._lengths(source))

    def forward(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        source, time = self._read(inputs["pixels"]), target_ids.shape[1]
        pixels = -(-time // CHANNELS)
        pixel = torch.arange(pixels, device=target_ids.device)
        seen = self.frame.see(target_ids, pixels)
        x = self.frame.place(seen.before, pixel) + source[:, self._under(pixel)]
        hidden, _ = self.decoder(x, self.decoder.project(source), self._lengths(source))
        return self.frame.logits(hidden, seen.known)[:, :time]

    def teach(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        return self.forward(inputs, target_ids)

    def step(
        self, token_ids: Tensor, position: Tensor, statics: Tensors, states: Tensors
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        following = self.frame.see_step(token_ids, position, states)
        pixel = position // CHANNELS
        rows = torch.arange(pixel.shape[0], device=pixel.device)
        under = statics[SOURCE][rows, self._under(pixel)].unsqueeze(1)
        x = self.frame.place(following[PREVIOUS], pixel.unsqueeze(1)) + under
        hidden, caches = self.decoder.step(x, pixel, self._lengths(pixel) - 1, statics, states)
        return self.frame.logits_step(hidden, following[KNOWN], position), following | caches, None

    def _read(self, pixels: Tensor) -> Tensor:
        """What the encoder makes of small pictures: `[rows, side, side, 3]` → `[rows, side², hidden]`."""
        channels = torch.arange(1, CHANNELS + 1, device=pixels.device)  # as those of a picture behind its start
        x = self.source_embedding(pixels.flatten(1, 2).long(), channels).sum(dim=2) + self.source_positions
        lengths = self._lengths(pixels)
        for layer in self.encoder:
            x = layer(x, lengths)
        normalised: Tensor = self.encoder_norm(x)
        return normalised

    def _under(self, pixel: Tensor) -> Tensor:
        """The small pixel that each pixel is a part of, both numbered row by row."""
        side, scale = self.config.image_size, self.config.image_size // self.config.source_size
        return pixel // side // scale * self.config.source_size + pixel % side // scale

    def _lengths(self, like: Tensor) -> Tensor:
        """The same for every row of `like [rows, …]`: all small pixels are real."""
        return torch.full(like.shape[:1], self.config.source_size**2, dtype=torch.int64, device=like.device)
