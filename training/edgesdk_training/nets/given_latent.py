"""What an autoencoder's latent holds, computed from pictures: nothing of it need be learnt."""

import torch
import torch.nn.functional as F
from torch import Tensor


def main_parts(image: Tensor, side: int, count: int) -> Tensor:
    """Return kernels [count, 3, side, side] that give the main parts of patches, evened a little;
    where there are fewer parts, the last kernels are 0."""
    patches = F.unfold(image, side, stride=side).movedim(1, 2).flatten(0, 1)
    values, parts = torch.linalg.eigh(patches.T @ patches / len(patches))
    kept = min(count, len(values))
    kernels = patches.new_zeros(count, len(values))
    # By the fourth root of its power each part lies between true to scale and as loud as all.
    kernels[:kept] = (parts * values.clamp_min(1e-6) ** -0.25).T.flip(0)[:kept]
    return kernels.view(count, 3, side, side)


def centres_of(points: Tensor, count: int, rounds: int = 6) -> Tensor:
    """Return the centres [count, C] of points [M, C] by k-means."""
    centres = points[torch.randperm(len(points))[:count]].clone()
    for _ in range(rounds):
        near = torch.cdist(points, centres).argmin(1)
        sums = torch.zeros_like(centres).index_add_(0, near, points)
        counts = torch.bincount(near, minlength=len(centres))[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp_min(1), centres)
    return centres
