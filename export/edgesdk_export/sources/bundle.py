"""A bundle with an fp32 ONNX file, or one that brings along the ONNX file it was built from."""

from pathlib import Path
from typing import Any

from edgesdk.core.bundle import MANIFEST, Bundle, read_bundle
from edgesdk.core.errors import UnsupportedError
from edgesdk.core.onnx_wire import Outline, outline
from edgesdk.core.protocols import SourceKind
from edgesdk.core.source import NOTHING_TOLD, TORCH, Run, Told
from edgesdk.core.tensors import TensorSpec
from edgesdk_export._foreign import OPSET, write_normalised
from edgesdk_export._graph import copy_onnx
from edgesdk_export._source import BaseSource, as_onnx, is_rebuild, refuse_told
from edgesdk_export.sources._onnx import onnx_runner


class BundleSource(BaseSource):
    """See the module."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        self._bundle = bundle
        self.name = bundle.name
        self.sha256 = bundle.source_sha256
        self._file = as_onnx(bundle).entry_path
        self.own = bundle.files.get(as_onnx(bundle).entry, {})
        self._outline = _outline(self._file)
        if self._outline.beside:
            self.own = [self.own, *(bundle.files.get(name) for name in self._outline.beside)]
        known = ("recipe", "recipe_sha256", "commit", "companions")
        self.lineage = {name: getattr(bundle, name) for name in known}
        self.target = bundle.target
        self.precision = bundle.precision
        self.proxy = bundle.proxy

    def specs(self) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """See Source."""
        return self._bundle.inputs, self._bundle.outputs

    def lacks(self, form: str) -> str | None:
        """See Source."""
        if form == TORCH:
            return f"{self.name} is a bundle; start from the checkpoint it was made of"
        if self._bundle.format == "onnx" and self.precision == "fp32":
            return None
        return (
            f"{self.name} is {self._bundle.format} at {self.precision}; start from a checkpoint "
            "or from an fp32 ONNX bundle"
        )

    def write_onnx(self, path: Path, batch: int | None) -> list[str]:
        """See Source."""
        own = self._bundle.inputs[0].shape[0]
        fixed = None if batch == own else batch
        plain = self._outline.opset >= OPSET and not (self._outline.beside or self._outline.fed)
        if plain or is_rebuild(self, self.target):
            return copy_onnx(self._file, path, fixed)
        write_normalised(self._file, path)
        if fixed is not None:
            copy_onnx(path, path, fixed)
        return ["onnx"]

    def torch_module(self) -> Any:
        """See Source."""
        raise UnsupportedError(str(self.lacks(TORCH)))

    def runner(self) -> tuple[Run, dict[str, str]]:
        """See Source."""
        return onnx_runner(as_onnx(self._bundle))


def _outline(file: Path) -> Outline:
    """Return how an ONNX file lies; files of other formats lie plainly."""
    plain = Outline(OPSET, (), ())
    return outline(file.read_bytes()) if file.suffix == ".onnx" and file.is_file() else plain


class BundleKind:
    """See the module."""

    aliases: tuple[str, ...] = ()
    extra = ""
    requires: tuple[str, ...] = ()
    holds = Bundle

    def opens(self, path: Path) -> bool:
        """See SourceKind."""
        return (path / MANIFEST).is_file() or path.name.endswith(".rejected")

    def open(self, path: Path, told: Told = NOTHING_TOLD) -> BundleSource:
        """See SourceKind."""
        refuse_told(path, told)
        return BundleSource(read_bundle(path))

    def source(self, held: Bundle) -> BundleSource:
        """See SourceKind."""
        return BundleSource(held)


PLUGIN: SourceKind = BundleKind()
