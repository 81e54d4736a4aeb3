from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from models.layers.efficientnet import EfficientNet, ImageEncoderConfig, SameConvolution, Stage

TINY = ImageEncoderConfig(
    image_size=20,
    stem_size=4,
    stages=(
        Stage(blocks=1, kernel_size=3, stride=1, expansion=1, channels=4),
        Stage(blocks=2, kernel_size=5, stride=2, expansion=2, channels=6),
    ),
    head_size=8,
)


@pytest.mark.parametrize(("size", "grid"), [(224, (7, 7)), (448, (14, 14)), (225, (8, 8))])
def test_the_grid_is_the_picture_at_a_stride_of_32(size: int, grid: tuple[int, int]) -> None:
    config = ImageEncoderConfig(image_size=size)
    assert config.grid == grid
    assert config.regions == grid[0] * grid[1]


def test_regions_are_numbered_row_by_row() -> None:
    torch.manual_seed(0)
    encoder = EfficientNet(TINY).eval()
    pixels = torch.randint(256, (2, 20, 20, 3), dtype=torch.uint8)
    x = (pixels.permute(0, 3, 1, 2).float() - 127) / 128
    maps = F.relu6(encoder.head(encoder.blocks(F.relu6(encoder.stem(x)))))
    features = encoder(pixels)
    assert maps.shape == (2, 8, 5, 5)
    assert features.shape == (2, TINY.regions, 8)
    assert torch.equal(features[1, 7], maps[1, :, 1, 2])


@pytest.mark.parametrize(
    ("side", "kernel_size", "stride", "margins"),
    [(8, 3, 2, (0, 1)), (7, 3, 2, (1, 1)), (8, 5, 2, (1, 2)), (8, 5, 1, (2, 2)), (8, 1, 1, (0, 0))],
)
def test_what_padding_is_left_over_goes_right_and_down(
    side: int, kernel_size: int, stride: int, margins: tuple[int, int]
) -> None:
    convolution = SameConvolution(1, 1, kernel_size, side=side, stride=stride)
    x = torch.randn(1, 1, side, side)
    expected = F.conv2d(F.pad(x, margins * 2), convolution.weight, convolution.bias, stride)
    assert expected.shape[-1] == -(-side // stride)
    torch.testing.assert_close(convolution(x), expected)


def test_a_block_that_keeps_its_shape_adds_its_input() -> None:
    encoder = EfficientNet(TINY)
    assert [block.residual for block in encoder.blocks] == [True, False, True]
    block = encoder.blocks[2]
    torch.nn.init.zeros_(block.project.weight)
    x = torch.randn(1, 6, 5, 5)
    assert torch.equal(block(x), x)


def test_channels_filtered_alone_are_computed_in_fp32_even_under_autocast() -> None:
    torch.manual_seed(0)
    alone, together = (SameConvolution(4, 4, 3, side=6, groups=groups) for groups in (4, 1))
    x = torch.randn(1, 4, 6, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, reduced = alone(x), together(x)
    assert torch.equal(found, alone(x))
    assert reduced.dtype == torch.bfloat16
