"""A bundle, opened and checked: its manifest, the precision that will run here, and its tokenizers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from contract.manifest import BundleError, Manifest, Precision, Variant, load_manifest
from contract.preprocessing import ImagePreprocessing, PromptPreprocessing, TextPreprocessing
from contract.signature import GenerateSignature, GraphKind, Signature
from contract.text import TextCodec
from contract.versions import latest_version
from service.runtime.session import InferenceSession, Provider, ProviderChoice, create_session, resolve_provider

_PREFERENCE: dict[Provider, tuple[Precision, ...]] = {"cuda": ("fp16", "fp32"), "cpu": ("int8", "fp32")}


@dataclass(frozen=True)
class Bundle:
    """A verified bundle and how it runs on this machine."""

    folder: Path
    manifest: Manifest
    variant: Variant
    provider: Provider

    @cached_property
    def signature(self) -> Signature:
        """The manifest's signature with the types of the chosen precision: fp16 graphs keep their states in float16."""
        signature = self.manifest.signature
        if not isinstance(signature, GenerateSignature):
            return signature
        types = {tensor.name: tensor.dtype for tensor in self.variant.graph("step").inputs}
        return signature.model_copy(
            update={
                "statics": tuple(t.model_copy(update={"dtype": types[t.name]}) for t in signature.statics),
                "states": tuple(t.model_copy(update={"dtype": types[t.name]}) for t in signature.states),
            }
        )

    @cached_property
    def source(self) -> TextCodec:
        """The tokenizer of a text-to-text model's source."""
        return TextCodec.load(self.folder / self.manifest.text.source_tokenizer)

    @cached_property
    def target(self) -> TextCodec:
        """The tokenizer that a generate model writes with; the one that it reads with where they are one."""
        preprocessing = self.manifest.preprocessing
        if isinstance(preprocessing, PromptPreprocessing):
            return TextCodec.load(self.folder / preprocessing.tokenizer)
        assert isinstance(preprocessing, TextPreprocessing | ImagePreprocessing), "one-shot models write no text"
        joint = isinstance(preprocessing, TextPreprocessing) and len(set(preprocessing.files)) == 1
        return self.source if joint else TextCodec.load(self.folder / preprocessing.target_tokenizer)

    def path(self, kind: GraphKind) -> Path:
        """File of the graph of a kind in the chosen precision."""
        return self.folder / self.variant.graph(kind).file

    def session(self, kind: GraphKind, *, prepack: bool = True) -> InferenceSession:
        """A new session on the graph of a kind."""
        return create_session(self.path(kind), self.provider, prepack=prepack)


def open_bundle(folder: Path, *, precision: Precision | None = None, provider: ProviderChoice = "auto") -> Bundle:
    """Open `NAME/VERSION/`, or the newest version of `NAME/`, and check every file in it.

    Without a `precision`, the best one for the provider is taken: fp16 on CUDA, int8 on CPU, else fp32. A bundle that
    holds nothing for CUDA runs on CPU when the provider was left to us.

    Raises:
        BundleError: the folder is not a sound bundle, or holds nothing that can run here.
    """
    folder = latest_version(folder)
    manifest = load_manifest(folder)
    held = {variant.precision for variant in manifest.variants}
    resolved = resolve_provider(provider)
    wanted = (precision,) if precision else _PREFERENCE[resolved]
    if provider == "auto" and not held & set(wanted):
        resolved = "cpu"
        wanted = (precision,) if precision else _PREFERENCE[resolved]
    chosen = next((name for name in wanted if name in held), None)
    if chosen is None:
        fault = f"holds {', '.join(sorted(held))}; {resolved} needs one of {', '.join(wanted)}"
        raise BundleError(folder, [fault])
    return Bundle(folder, manifest, manifest.variant(chosen), resolved)
