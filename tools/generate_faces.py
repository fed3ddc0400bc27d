"""Make a face pack of people who do not exist, labelled by the teacher.

    uv pip install openvino; uv pip install --no-deps random-face
    python tools/generate_faces.py --count 16000 --seed 0 -o generated0.npz

The faces come from MobileStyleGAN (Belousov 2021, taught on Flickr's faces), whose weights
the package `random-face` carries under Apache-2.0; the photos behind it (FFHQ) are for
non-commercial use, so treat what is made of its faces as research. Faces of 128 px are all
that a student needs, so the two last stages of the generator, two thirds of its work, are
left out: a small decoder, fitted once to what the whole generator shows, reads the picture
from the features before them (`--decoder`, fitted where the file is missing). What it blurs
or tints does not matter, for the teacher looks at the picture that is kept.

The file is written after every 1,024 faces; a stopped command goes on there. One process
uses one thread: run several with their own seeds, and give all the packs to `edgesdk train`.
"""

import argparse
from collections.abc import Iterator
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from edgesdk.core.biometrics import unit
from edgesdk.core.files import write_atomic
from edgesdk.core.preprocess import Align, align, resize
from edgesdk.detect import YuNet
from edgesdk.images import read_image
from edgesdk_training.teachers import sface

FEATURES, SIDE, STYLE = "Mul_556", 128, 512
BLOCK, BATCH = 1024, 16
FITTED_ON, JUDGED_ON, PASSES = 120, 20, 24
# Part of the way from the mean face: the further, the less alike and the less like photos.
TRUNCATION = (0.65, 1.0)

Array = NDArray[Any]


class Generator:
    """From random numbers to features, and to whole pictures where they are asked for."""

    def __init__(self) -> None:
        spec = find_spec("random_face")
        if spec is None or not spec.submodule_search_locations:
            raise SystemExit("the package random-face is not installed; see --help")
        from openvino import Core

        self._folder, self._core = Path(spec.submodule_search_locations[0]) / "data", Core()
        mapping = self._core.read_model(self._folder / "MappingNetwork.xml")
        mapping.reshape([BATCH, STYLE])
        self._style = self._compiled(mapping)
        drawn = np.random.default_rng(0).normal(size=(4096, STYLE))
        self.mean = self.styles(drawn).mean(0)

    def _compiled(self, model: Any) -> Any:
        return self._core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": 1})

    def styles(self, drawn: Array) -> Array:
        """Return float32 [N, 512] for normal numbers [N, 512]; N is a multiple of BATCH."""
        parts = np.split(drawn.astype(np.float32), len(drawn) // BATCH)
        return np.concatenate([self._style(part)[0].copy() for part in parts])

    def synthesis(self, whole: bool) -> Any:
        """Return the compiled network from a style to features [1, 256, 128, 128].

        With `whole` also to the picture [1, 3, 1024, 1024], RGB in -1..1, as a second answer.
        """
        from openvino import Model

        model = self._core.read_model(self._folder / "SynthesisNetwork.xml")
        cut = next(o for o in model.get_ordered_ops() if o.get_friendly_name() == FEATURES)
        outputs = [cut.output(0), *([model.output(0)] if whole else [])]
        return self._compiled(Model(outputs, model.get_parameters()))

    def truncated(self, styles: Array, random: np.random.Generator) -> Array:
        """Draw each style towards the mean face."""
        part = random.uniform(*TRUNCATION, (len(styles), 1)).astype(np.float32)
        rows: Array = self.mean + part * (styles - self.mean)
        return rows


def decoder() -> torch.nn.Sequential:
    """Return the network from features to a picture of 128 px, not fitted yet."""
    nn = torch.nn
    layers = nn.Sequential(
        nn.Conv2d(256, 64, 1),
        nn.ReLU(),
        nn.Conv2d(64, 48, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(48, 3, 3, padding=1),
    )
    return layers.to(memory_format=torch.channels_last)


def shown(generator: Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features, scaled to a deviation of one, and pictures shrunk to 128 px."""
    network = generator.synthesis(whole=True)
    random = np.random.default_rng(1)
    drawn = generator.styles(
        random.normal(size=(-(-(FITTED_ON + JUDGED_ON) // BATCH) * BATCH, STYLE))
    )
    styles = generator.truncated(drawn, random)[: FITTED_ON + JUDGED_ON]
    features, pictures = [], []
    for style in styles:
        found = network(style[None])
        whole = ((found[1][0].clip(-1, 1).transpose(1, 2, 0) + 1) * 127.5).round()
        features.append(torch.from_numpy(found[0][0].astype(np.float16)))
        pictures.append(resize(whole.astype(np.uint8), (SIDE, SIDE)) / 127.5 - 1)
    target = torch.from_numpy(np.stack(pictures).astype(np.float32)).permute(0, 3, 1, 2)
    return torch.stack(features), target


def fit(path: Path, generator: Generator) -> None:
    """Fit the decoder by the mean absolute difference and write it to `path`."""
    torch.manual_seed(0)
    features, pictures = shown(generator)
    scale = 1 / float(features[:4].float().std())
    network, order = decoder(), np.random.default_rng(2)
    optimiser = torch.optim.Adam(network.parameters())
    steps = PASSES * FITTED_ON // 4
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for _ in range(PASSES):
        for chosen in np.split(order.permutation(FITTED_ON), FITTED_ON // 4):
            loss = (network(features[chosen].float() * scale) - pictures[chosen]).abs().mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    with torch.no_grad():
        missed = network(features[FITTED_ON:].float() * scale) - pictures[FITTED_ON:]
    print(f"decoder: PSNR {10 * torch.log10(4 / missed.square().mean()):.1f} dB on new faces")
    network[0].weight.data *= scale
    torch.save(network.state_dict(), path)


def faces(seed: int, block: int, generator: Generator, decode: torch.nn.Module) -> Iterator[Array]:
    """Yield the aligned faces of one block, uint8 [112, 112, 3]; a block may lack some."""
    network, find = generator.synthesis(whole=False), YuNet()
    random = np.random.default_rng((seed, block))
    drawn = generator.styles(random.normal(size=(BLOCK, STYLE)))
    for style in generator.truncated(drawn, random):
        features = torch.from_numpy(network(style[None])[0])
        with torch.no_grad():
            answer = decode(features.contiguous(memory_format=torch.channels_last))[0]
        decoded = ((answer.clamp(-1, 1) + 1) * 127.5).round().permute(1, 2, 0).numpy()
        picture = decoded.astype(np.uint8)
        found = find.look(picture)
        if found:
            yield align(picture, found[0].points, Align())


def encoded(picture: Array) -> bytes:
    """Return the picture as JPEG."""
    stream = BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=93)
    return stream.getvalue()


def pack(files: list[bytes], seed: int, block: int) -> dict[str, Array]:
    """Return the arrays of a face pack; the teacher sees the pictures as they were stored."""
    teacher, pictures = sface(), [read_image(file) for file in files]
    parts = [teacher(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)]
    return {
        "blob": np.frombuffer(b"".join(files), np.uint8),
        "offsets": np.cumsum([0, *map(len, files)]),
        "identity": np.full(len(files), -1),
        "names": np.array([f"generated/{seed}/{block}/{i}" for i in range(len(files))]),
        "embedding": unit(np.concatenate(parts)).astype(np.float16),
    }


def joined(before: dict[str, Array], new: dict[str, Array]) -> dict[str, Array]:
    """Return one pack of two."""
    offsets = np.concatenate([before["offsets"], new["offsets"][1:] + before["offsets"][-1]])
    rest = {k: np.concatenate([before[k], new[k]]) for k in new if k != "offsets"}
    return {**rest, "offsets": offsets}


def write(path: Path, arrays: dict[str, Array]) -> None:
    """Write a face pack, never half of one."""
    stream = BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    write_atomic(path, stream.getvalue())


def begun(path: Path, seed: int) -> tuple[dict[str, Array], int]:
    """Return what a stopped command has left, and the next block."""
    if not path.is_file():
        return {}, 0
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    origin, begun_with, block, _ = str(arrays["names"][-1]).split("/")
    if (origin, begun_with) != ("generated", str(seed)):
        raise SystemExit(f"{path} holds other faces; choose another -o")
    return arrays, int(block) + 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=16_384, help="faces, in blocks of 1,024")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--decoder", type=Path, default=Path("generated-decoder.pt"))
    parser.add_argument("-o", "--out", type=Path, required=True, help="face pack to write, .npz")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    generator, decode = Generator(), decoder()
    arrays, block = begun(asked.out, asked.seed)
    if not asked.decoder.is_file():
        fit(asked.decoder, generator)
    decode.load_state_dict(torch.load(asked.decoder, weights_only=True))
    for number in range(block, -(-asked.count // BLOCK)):
        files = [encoded(face) for face in faces(asked.seed, number, generator, decode)]
        new = pack(files, asked.seed, number)
        arrays = joined(arrays, new) if arrays else new
        write(asked.out, arrays)
        print(f"{asked.out}: {len(arrays['names']):,} faces", flush=True)


if __name__ == "__main__":
    main()
