"""Where ITEM's embeddings come from: encoders of the user, or a compact space trained here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk_training.joint_space import NAMES, Features, FeatureSet

if TYPE_CHECKING:
    from edgesdk.core.protocols import RunContext
    from edgesdk.core.tensors import Array
    from edgesdk_training.compact_space import Photos, Seer

HELD_OUT, NAMED = 6, 3  # each sixth photo judges the space; each third class name teaches it


@dataclass
class Space:
    """What a space gives to the recipe.

    Attributes:
        features: To train the head on.
        config: Of the student.
        data: Names of all sets.
        licence: What these allow.
        net: The network that the trained head completes, None where the head is all.
        reading: Its vocabulary.
        metrics: What was measured of the space.
        sources: Name -> hash of the networks it was made from.
        companions: File -> hash of the encoders that the head cannot do without.
        artefacts: Files of the run, by name.
    """

    features: Features
    config: Any
    data: str
    licence: str
    net: Any = None
    reading: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    artefacts: Mapping[str, Path] = field(default_factory=dict)
    companions: Mapping[str, str] = field(default_factory=dict)

    def completed(self, head: Any) -> Any:
        """Return the network with its trained head."""
        if self.net is None:
            return head
        self.net.head = head
        return self.net.eval()


def given(context: RunContext, student: Any, settings: Any) -> Space:
    """Take the embeddings of a file, which the user's own encoders made.

    Raises:
        UsageError: the data are no file of features.
    """
    data = context.data("images")
    if not isinstance(data, FeatureSet):
        raise UsageError(
            f"{data.name} holds no features; the recipe takes one .npz file with the arrays "
            f"{', '.join(NAMES)} and generated, as your encoders give them; or pictures with "
            "captions and space=compact"
        )
    arrays = data.arrays
    config = student.config(
        width=arrays["image"].shape[1], objects=arrays["words"].shape[1], head=settings.head
    )
    return Space(data, config, data.name, "unknown", companions=data.sources)


def compact(context: RunContext, student: Any, settings: Any) -> Space:
    """Teach a compact space on captioned photos, then look at the pictures with it."""
    import torch

    from edgesdk.captions import Tokenizer
    from edgesdk_training import compact_learning as learning
    from edgesdk_training.compact_space import (
        choose_vocabulary,
        features,
        held_out,
        lessons,
        read_photos,
    )
    from edgesdk_training.encoders import MiniLm, embed_texts

    config = student.config(head=settings.head, form="whole")
    torch.manual_seed(context.seed)
    net = student.build(config)
    seer = _seer(context, student, config, net)
    photos, pictures = (read_photos(context, role, seer) for role in ("captions", "images"))
    judged = held_out(photos.names, HELD_OUT)
    named = ~pictures.generated & held_out(pictures.names, NAMED)
    learnt = _joined(photos.chosen(~judged), pictures.chosen(named))
    teacher = MiniLm()
    bank = list(dict.fromkeys(s for said in learnt.captions for s in said))
    vocabulary = choose_vocabulary(teacher.vocabulary, bank, config.vocabulary)
    if len(vocabulary) < config.vocabulary:
        config = replace(config, vocabulary=len(vocabulary))
    taught = lessons(bank, vocabulary, context.seed)
    vectors = embed_texts(teacher, taught, context.folder.parent / "cache", context.progress)
    told = dict(zip(taught, vectors, strict=True))
    projection = learning.learn_space(context, learnt, told, net, settings.space_epochs)
    with torch.no_grad():
        wanted = torch.nn.functional.normalize(projection(torch.from_numpy(vectors)))
    tokenizer = Tokenizer(vocabulary, config.length)
    learning.learn_words(context, net, tokenizer(taught), wanted, settings.word_epochs)
    net.eval()
    names = [context.data(role).name for role in ("images", "captions")]
    seen = features(net, tokenizer, pictures.chosen(~named), bank, names[0], config.objects)
    return Space(
        seen,
        config,
        " + ".join(names),
        "research, non-commercial",
        net,
        {"vocabulary": " ".join(vocabulary)},
        _recall(net, tokenizer, photos.chosen(judged)),
        {teacher.name: teacher.sha256, "mobilenet-v2": seer.sha256},
        # Other heads can be taught on it in seconds.
        {"features": seen.save(context.folder / "features.npz")},
    )


def _seer(context: RunContext, student: Any, config: Any, net: Any) -> Seer:
    """Give the network its backbone, and return what looks at pictures with it."""
    from copy import deepcopy

    from edgesdk.core.files import sha256_file
    from edgesdk_training.compact_space import Seer
    from edgesdk_training.encoders import imagenet_weights
    from edgesdk_training.nets.mobile_net import folded, load_imagenet

    path = imagenet_weights()
    load_imagenet(net.backbone, str(path)).requires_grad_(False)
    preprocess = student.preprocess(config)["image"]
    return Seer(context, folded(deepcopy(net.backbone)), preprocess, sha256_file(path))


def _joined(one: Photos, other: Photos) -> Photos:
    import torch

    from edgesdk_training.compact_space import Photos

    return Photos(
        one.names + other.names,
        one.captions + other.captions,
        np.concatenate([one.generated, other.generated]),
        torch.cat([one.maps, other.maps]),
    )


def _recall(net: Any, tokenizer: Any, photos: Photos) -> dict[str, float]:
    """Return recall on photos held out, by the tokens alone, as at run time."""
    import torch

    from edgesdk_training.compact_learning import retrieval

    owner: Array = np.repeat(np.arange(len(photos.names)), [len(c) for c in photos.captions])
    said = [s for c in photos.captions for s in c]
    with torch.inference_mode():
        whole = net.pictures(photos.maps)[0].numpy()
        texts = net.texts(torch.from_numpy(tokenizer(said))).numpy()
    return {**retrieval(whole, texts, owner), "retrieval_photos": len(photos.names)}


SPACES = {"given": given, "compact": compact}
