"""Step 2 of bridge distillation: teach the student small, varied copies of the faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# Losses of a batch against the teacher's rows, by the name of their weight in the settings.
RELATIONS = ("relation", "pair", "triplet")

if TYPE_CHECKING:
    from torch import Tensor

    from edgesdk.core.protocols import RunContext
    from edgesdk_training.faces import Faces


def distil(
    settings: Any,
    context: RunContext,
    faces: Faces,
    adapted: Tensor | None,
    student: Any,
    beside: Tensor | None = None,
    assistant: Any = None,
) -> Any:
    """Teach `student` in place and return it, BatchNorm still inside.

    Args:
        settings: Of the recipe `bridge`.
        context: Of the run.
        faces: The public faces.
        adapted: What the mimic layer regresses, unit rows [N, width]; None for nothing.
        student: A network with `heads` and `identity`, its first weights in place.
        beside: Unit rows [N, K] of a second teacher, which the identity layer is to tell through
            a linear layer that is left out in the end; None for one teacher.
        assistant: A network that says of what the student sees what `beside` says of the bare face,
            and is told in its stead; None for nobody.
    """
    import torch
    from torch import nn

    from edgesdk_training.loop import Plan, fit
    from edgesdk_training.losses import regression
    from edgesdk_training.recorded import compiled

    torch.manual_seed(context.seed)
    student = student.to(context.device, memory_format=torch.channels_last)
    classes = max(faces.classes, 1) if settings.classes else 1
    head = nn.Linear(student.identity_width, classes).to(context.device)
    wanted = wanted_rows(settings, context, faces, student.identity_width)
    told = None if beside is None else drawn_rows(settings, faces, beside)
    translator = nn.Identity() if told is None else translated(wanted, told)
    train, morphs = faces.train, settings.morph_batch if settings.morphs else 0
    heads = compiled(student.heads) if settings.compiled else student.heads

    def draw(order: Tensor, generator: Any) -> Any:
        def some(most: int, count: int) -> Tensor:
            return torch.randint(max(most, 1), (count,), generator=generator, device=context.device)

        chosen = torch.cat([train[order], len(faces.pictures) + some(settings.morphs, morphs)])
        asked = settings.contrast or getattr(settings, "predictions", 0.0)
        others = train[some(len(train), settings.bank if asked else 0)]
        rivals = some(classes, settings.class_bank)
        return faces.batch(chosen, settings.size, generator), chosen, others, rivals

    def loss(batch: Any) -> Any:
        pictures, chosen, others, rivals = batch
        with torch.autocast(pictures.device.type, torch.bfloat16, enabled=settings.bf16):
            mimic, identity = heads(pictures)
        terms = {}
        if settings.classes:
            terms["classes"] = class_loss(head, identity.float(), faces.labels[chosen], rivals)
        if not settings.labels_only:
            terms |= _terms(settings, mimic.float(), adapted, chosen)
            terms |= _identity_terms(settings, identity.float(), wanted, chosen, others)
        if told is not None:
            said = told[chosen] if assistant is None else assistant(pictures).float()
            terms["beside"] = regression(translator(identity.float()), said)
        weighted = {name: getattr(settings, name) * value for name, value in terms.items()}
        return sum(weighted.values()), terms

    plan = Plan.of(settings, "distil", len(train), alike=not settings.smallest)
    parts = {"student": student, "head": head, "translator": translator}
    fit(context, plan, nn.ModuleDict(parts), draw, loss)
    return student


def translated(rows: Tensor, told: Tensor) -> Any:
    """Return the linear layer that tells `told` [N, K] of `rows` [N, D] best, by least squares."""
    import torch
    from torch import nn

    layer = nn.Linear(rows.shape[1], told.shape[1], bias=False).to(rows.device)
    with torch.no_grad():
        layer.weight.copy_(torch.linalg.lstsq(rows, told).solution.T)
    return layer


def wanted_rows(settings: Any, context: RunContext, faces: Faces, width: int) -> Tensor:
    """Return what the identity layer is taught: the teacher's own rows, drawn to the centres.

    Args:
        settings: Field `centre`, how far a labelled face is drawn to its person's mean.
        context: Of the run.
        faces: The public faces.
        width: Of the identity layer.
    """
    from edgesdk_training.losses import in_width

    return drawn_rows(settings, faces, in_width(faces.features, width, context.seed))


def drawn_rows(settings: Any, faces: Faces, rows: Tensor) -> Tensor:
    """Return unit rows [N, K] of all faces, drawn to the centres as `wanted_rows` does."""
    import torch
    from torch.nn.functional import normalize

    known = faces.labelled
    if not settings.centre or not len(known):
        return rows
    labels = faces.labels[known]
    sums = rows.new_zeros(faces.classes, rows.shape[1]).index_add_(0, labels, rows[known])
    drawn = rows.clone()
    drawn[known] = torch.lerp(rows[known], normalize(sums)[labels], settings.centre)
    return normalize(drawn)


def _terms(settings: Any, mimic: Tensor, adapted: Tensor | None, chosen: Tensor) -> dict[str, Any]:
    from edgesdk_training.losses import regression

    if not settings.mimic or adapted is None:
        return {}
    return {"mimic": regression(mimic, adapted[chosen])}


def _identity_terms(
    settings: Any, identity: Tensor, wanted: Tensor, chosen: Tensor, others: Tensor
) -> dict[str, Any]:
    import torch

    from edgesdk_training import losses

    own, terms = wanted[chosen], {}
    if settings.identity:
        terms["identity"] = losses.regression(identity, own)
    for name in RELATIONS:
        # A recipe need not offer all of them.
        if getattr(settings, name, 0.0):
            terms[name] = getattr(losses, name)(identity, own)
    if settings.contrast:
        bank = torch.cat([own, wanted[others]])
        index = torch.arange(len(own), device=own.device)
        terms["contrast"] = losses.contrast(identity, bank, index, settings.scale)
    if getattr(settings, "predictions", 0.0):
        terms["predictions"] = losses.predictions(identity, own, wanted[others], settings.scale)
    return terms


def class_loss(head: Any, identity: Tensor, labels: Tensor, rivals: Tensor) -> Tensor:
    """Return the cross-entropy of the labelled faces, 0 where none is.

    Args:
        head: Linear layer from the identity layer to all classes.
        identity: [B, D].
        labels: Class of each face, -1 for none, [B].
        rivals: Classes to tell them from beside those of the batch; empty for all classes.
    """
    import torch
    import torch.nn.functional as F

    # Nothing here depends on what the labels are, for a GPU would have to be waited for.
    known = (labels >= 0).sum().clamp_min(1)
    if not len(rivals):
        total = F.cross_entropy(head(identity), labels, ignore_index=-1, reduction="sum")
        return total / known
    among = torch.cat([labels, rivals])
    useless = (among[:, None] == among).tril(-1).any(1) | (among < 0)
    some = among.clamp_min(0)
    answer = F.linear(identity, head.weight[some], head.bias[some])
    own = (labels[:, None] == among).int().argmax(1).where(labels >= 0, -1)
    answer = answer.masked_fill(useless, -torch.inf)
    return F.cross_entropy(answer, own, ignore_index=-1, reduction="sum") / known
