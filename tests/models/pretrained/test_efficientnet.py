"""EfficientNet-Lite0's weights; where the package is not installed the tests that need it are skipped."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from models.architecture import Architecture
from models.layers.efficientnet import LITE0 as STAGES
from models.layers.efficientnet import EfficientNet, ImageEncoderConfig
from models.pretrained.efficientnet import PretrainedEfficientNet, read_package, translate_weights
from models.pretrained.packages import LITE0, PACKAGES, package_folder
from models.pretrained.start import Start
from models.registry import ConfigError, build, parse

installed = pytest.mark.skipif(
    find_spec(PACKAGES[LITE0][0]) is None, reason=f"{LITE0} is not installed (extra: pretrained)"
)
FILE = "efficientnet-lite0-57934424.pth"


@pytest.fixture(scope="module")
def start() -> PretrainedEfficientNet:
    return read_package(package_folder(LITE0))


def captioner(encoder: dict[str, object]) -> Architecture:
    return build("captioner", parse("captioner", {"target_vocabulary_size": 9, "encoder": encoder}))


@installed
@pytest.mark.parametrize("side", [224, 150], ids=["even", "odd"])
def test_features_are_those_of_the_packages_own_model(start: PretrainedEfficientNet, side: int) -> None:
    """Lite0 halves a side of 150 to 75, 38, 19, 10 and 5, so its paddings come out even and uneven."""
    from efficientnet_lite_pytorch import EfficientNet as Reference

    reference = Reference.from_name("efficientnet-lite0", image_size=side).eval()
    reference.load_state_dict(torch.load(package_folder(LITE0) / FILE, weights_only=True))
    encoder = EfficientNet(ImageEncoderConfig(image_size=side)).eval()
    encoder.load_state_dict(start.weights)  # strict: every parameter is given, and no other
    pixels = torch.randint(256, (2, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        expected = reference.extract_features((pixels.permute(0, 3, 1, 2).float() - 127) / 128)
        found = encoder(pixels)
    assert found.shape == (2, encoder.config.regions, 1280)
    scale = expected.abs().max().item()
    assert scale > 1
    torch.testing.assert_close(found, expected.flatten(2).transpose(1, 2), rtol=0, atol=1e-4 * scale)


@installed
def test_the_encoder_of_a_captioner_starts_from_the_package() -> None:
    model = captioner({"image_size": 64})
    Start(package=LITE0).load().give(model)
    encoder = model.get_submodule("encoder")
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 3_350_000
    expected = read_package(package_folder(LITE0)).weights
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, expected[name]), name


@installed
def test_an_encoder_of_other_sizes_is_told_what_to_set(start: PretrainedEfficientNet) -> None:
    with pytest.raises(ConfigError, match=r"encoder differs in stem_size, head_size .*: set stem_size to 32"):
        start.give(captioner({"stem_size": 16, "head_size": 640}))
    with pytest.raises(ConfigError, match=r"encoder differs in stages .*: set stages to "):
        start.give(captioner({"stages": STAGES[:-1]}))


@installed
def test_what_reads_no_pictures_cannot_start_from_it(start: PretrainedEfficientNet) -> None:
    fields = {"vocabulary_size": 9, "label_count": 2}
    with pytest.raises(ConfigError, match="SelfAttentive reads no pictures"):
        start.give(build("self_attentive", parse("self_attentive", fields)))
    with pytest.raises(ConfigError, match=f"{LITE0} reads no texts"):
        Start(package=LITE0).load_text()


@installed
def test_a_parameter_that_is_missing_or_unknown_is_named() -> None:
    weights = torch.load(package_folder(LITE0) / FILE, weights_only=True)
    weights["_blocks.3._scale"] = weights.pop("_blocks.3._bn1.running_var")
    with pytest.raises(ConfigError, match=r"missing \['_blocks.3._bn1.running_var'\], unknown \['_blocks.3._scale'\]"):
        translate_weights(weights, ImageEncoderConfig())
