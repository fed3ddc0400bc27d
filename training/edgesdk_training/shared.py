"""Networks that several runs beside each other begin with, learnt once and kept beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.files import canonical, clean, sha256_bytes, write_atomic

if TYPE_CHECKING:
    from edgesdk.core.protocols import RunContext


def shared(
    context: RunContext, name: str, module: Any, about: Mapping[str, Any], learn: Callable[[], Any]
) -> Any:
    """Return `module` with the weights that `learn` gives it, or gave it in an earlier run.

    Args:
        context: Of the run; the weights lie in `cache` beside it.
        name: Of the network; begins the file's name.
        module: Its layers; changed in place.
        about: All that decides the weights but the code.
        learn: Trains `module`.

    Raises:
        EdgeSdkError: the stored weights are damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load, save

    key = sha256_bytes(canonical(clean(about)))[:16]
    path = context.folder.parent / "cache" / f"{name}-{key}.safetensors"
    if not path.is_file():
        learn()
        tensors = {k: v.contiguous() for k, v in module.state_dict().items()}
        write_atomic(path, save(tensors))
        return module.eval()
    try:
        module.load_state_dict(load(path.read_bytes()))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise EdgeSdkError(
            f"the {name} {path} is damaged ({error}); delete it, and it is learnt again"
        ) from None
    return module.eval()
