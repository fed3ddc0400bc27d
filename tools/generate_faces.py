"""Make a face pack of people who do not exist, labelled by the teacher.

    uv pip install --no-deps random-face
    python tools/generate_faces.py --count 16384 --seed 0 -o cache/generated0.npz

The faces come from MobileStyleGAN (Belousov 2021, taught on Flickr's faces), whose weights
the package `random-face` carries under Apache-2.0; the photos behind it (FFHQ) are for
non-commercial use, so treat what is made of its faces as research. Faces of 128 px are all
that a student needs, so the two last and dearest stages of the generator are left out: a
small decoder, fitted once to what the whole generator shows, reads the picture from the
features before them (`--decoder`, fitted where the file is missing). What it blurs or tints
does not matter, for the teacher looks at the picture that is kept.

The file is written after every 1,024 faces; a stopped command goes on there. One process
uses one thread: run several with their own seeds, the others once the first has written the
decoder, and give all the packs to `edgesdk train`. On Linux the variables
MALLOC_MMAP_THRESHOLD_=4294967296 and MALLOC_TRIM_THRESHOLD_=8589934592 keep memory that is
about to be used again, which otherwise costs much of a CPU's time.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgesdk.core.files import sha256_bytes, write_atomic
from edgesdk.core.preprocess import Align, align
from edgesdk.detect import YuNet
from edgesdk_training.augment import shrink
from edgesdk_training.teachers import open_teacher
from tools.command import told
from tools.face_pack import BLOCK, Array, arguments, asked_of, extended
from tools.openvino_ir import Graph

FEATURES, SIDE, STYLE = "Mul_556", 128, 512
KIND, BATCH = "generated", 16
FITTED_ON, JUDGED_ON, PASSES, STEP = 120, 20, 24, 4
# Part of the way from the mean face: the further, the less alike and the less like photos.
TRUNCATION = (0.65, 1.0)


class Generator:
    """From random numbers to styles, and from these to features or whole pictures."""

    def __init__(self, device: str) -> None:
        spec = find_spec("random_face")
        if spec is None or not spec.submodule_search_locations:
            raise SystemExit("the package random-face is not installed; see --help")
        folder = Path(spec.submodule_search_locations[0]) / "data"
        self._synthesis, self._device = folder / "SynthesisNetwork.xml", device
        self._style = Graph(folder / "MappingNetwork.xml", device)
        self.features = Graph(self._synthesis, device, until=FEATURES)
        self._mean = self._styles(np.random.default_rng(0), 4096).mean(0)

    def _styles(self, random: np.random.Generator, count: int) -> Tensor:
        return self._style(torch.from_numpy(random.normal(size=(count, STYLE)).astype(np.float32)))

    def draw(self, random: np.random.Generator, count: int) -> Tensor:
        """Return float32 [N, 512] styles, each drawn towards the mean face."""
        styles = self._styles(random, count)
        part = random.uniform(*TRUNCATION, (count, 1)).astype(np.float32)
        return self._mean + torch.from_numpy(part).to(self._device) * (styles - self._mean)

    def whole(self, styles: Tensor) -> Tensor:
        """Return the pictures [N, 3, 128, 128], RGB in -1..1, of all stages of the generator."""
        network = Graph(self._synthesis, self._device)
        large = (network(style[None]).clamp(-1, 1) for style in styles)
        return torch.cat([shrink((x + 1) * 127.5, SIDE) / 127.5 - 1 for x in large])


def make_decoder() -> nn.Sequential:
    """Return the network from features to a picture of 128 px, not fitted yet."""
    return nn.Sequential(
        nn.Conv2d(256, 64, 1),
        nn.ReLU(),
        nn.Conv2d(64, 48, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(48, 3, 3, padding=1),
    ).to(memory_format=torch.channels_last)


def fit(generator: Generator, device: str) -> nn.Sequential:
    """Return a decoder fitted by the mean absolute difference; it says how well."""
    torch.manual_seed(0)
    random = np.random.default_rng(1)
    with torch.no_grad():
        styles = generator.draw(random, FITTED_ON + JUDGED_ON)
        pictures = generator.whole(styles)
        features = torch.cat([generator.features(style[None]).half() for style in styles])
    scale = 1 / features[:STEP].float().std()
    decoder = make_decoder().to(device)
    optimiser = torch.optim.Adam(decoder.parameters())
    steps = PASSES * FITTED_ON // STEP
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for _ in range(PASSES):
        for chosen in np.split(random.permutation(FITTED_ON), FITTED_ON // STEP):
            loss = (decoder(features[chosen].float() * scale) - pictures[chosen]).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    with torch.no_grad():
        missed = decoder(features[FITTED_ON:].float() * scale) - pictures[FITTED_ON:]
        decoder[0].weight *= scale
    print(f"decoder: PSNR {10 * torch.log10(4 / missed.square().mean()):.1f} dB on new faces")
    return decoder


def fitted(path: Path, generator: Generator, device: str) -> nn.Sequential:
    """Return the decoder in the file, fitted and written where there is none."""
    if not path.is_file():
        stream = BytesIO()
        torch.save(fit(generator, device).state_dict(), stream)
        write_atomic(path, stream.getvalue())
    decoder = make_decoder().to(device)
    decoder.load_state_dict(torch.load(path, map_location=device, weights_only=True))
    return decoder


def faces(generator: Generator, decoder: nn.Sequential, seed: int, block: int) -> Iterator[Array]:
    """Yield the aligned faces of one block, uint8 [112, 112, 3]; a block may lack some."""
    find = YuNet()
    for styles in generator.draw(np.random.default_rng((seed, block)), BLOCK).split(BATCH):
        features = torch.cat([generator.features(style[None]) for style in styles])
        answers = decoder(features.contiguous(memory_format=torch.channels_last))
        shown = ((answers.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        for picture in shown.permute(0, 2, 3, 1).numpy(force=True):
            found = find.look(picture)
            if found:
                yield align(picture, found[0].points, Align())


def main() -> None:
    """Write the pack that was asked for, block by block."""
    parser = arguments(__doc__, 16 * BLOCK)
    parser.add_argument("--decoder", type=Path, default=Path("cache/generated-decoder.pt"))
    asked = asked_of(parser, KIND)
    generator, teacher = Generator(asked.device), open_teacher("sface", device=asked.device)
    decoder = fitted(asked.decoder, generator, asked.device)
    source = sha256_bytes(asked.decoder.read_bytes())

    def block(number: int) -> Iterator[Array]:
        with torch.inference_mode():
            yield from faces(generator, decoder, asked.seed, number)

    extended(asked, KIND, teacher, source, block)


if __name__ == "__main__":
    told(main)
