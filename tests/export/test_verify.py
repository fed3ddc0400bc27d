"""`verify` on a finished bundle."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from edgesdk.core.bundle import list_files, read_bundle
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.samples import synthetic_faces
from edgesdk.core.task import Judged, Metric, task_of
from edgesdk.core.verify import read_verification
from edgesdk_export._pipeline import verify_bundle
from edgesdk_export._source import info, source_of
from edgesdk_export._task import contrast

onnx = pytest.importorskip("onnx", reason="needs the onnx extra")


@pytest.fixture
def pairs(tmp_path):
    """Return a folder of made-up people: one face each, two pictures with different noise."""
    from PIL import Image

    folder = tmp_path / "pairs"
    folder.mkdir()
    generator, rows = np.random.default_rng(0), []
    faces = synthetic_faces(40, 5, 32)
    for number, face in enumerate(faces):
        for view in (0, 1):
            noise = generator.normal(0, 8, face.shape)
            picture = np.clip(face + noise, 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / f"{number}_{view}.png")
        other = (number + 1) % len(faces)
        rows.append(f"1,{number}_0.png,{number}_1.png,{number % 2}")
        rows.append(f"0,{number}_0.png,{other}_1.png,{number % 2}")
    (folder / "pairs.csv").write_text("\n".join(rows))
    return folder


def test_the_source_is_found_beside_the_bundle(export, source, out):
    bundle = export(precision="int8")
    alone = verify_bundle(bundle)
    assert alone.verdict == "pass"
    assert "only the golden vectors were checked" in alone.reasons[-1]
    shutil.copytree(source.path, out / "neighbour")
    found = verify_bundle(bundle)
    assert (found.verdict, found.samples) == ("pass", 64)
    assert found.outputs["embedding"]["cosine_p1"] > 0.97
    assert found.source["runtime"] == "ort"


def test_nothing_is_written_unless_asked(export, source):
    bundle = export(verify=False)
    before = list_files(bundle.path)
    assert verify_bundle(bundle, source).verdict == "pass"
    assert list_files(bundle.path) == before
    assert verify_bundle(bundle, source, update=True).verdict == "pass"
    updated = read_bundle(bundle.path)
    assert updated.verify["verdict"] == "pass"
    assert read_verification(bundle.path / "verify.json").samples == 64
    assert "verdict: pass" in (bundle.path / "MODEL_CARD.md").read_text()


def test_a_bundle_of_other_weights_fails(export, make_face_bundle):
    other = make_face_bundle("other", bias=3.0)
    found = verify_bundle(export(), other)
    assert found.verdict == "fail"
    assert "differ by more than" in found.reasons[0]


def test_a_rejected_bundle_can_be_looked_at(export, out, spoil):
    from edgesdk.core.errors import GateFailedError

    spoil("onnx", lambda folder, artefact: (folder / artefact.entry).write_bytes(b"x") and None)
    with pytest.raises(GateFailedError):
        export()
    rejected = read_bundle(out / "tiny-face-onnx-fp32.rejected", allow_rejected=True)
    found = verify_bundle(rejected)
    assert found.verdict == "fail"
    assert "cannot open" in found.reasons[0]


def test_data_gives_accuracy_and_refits_the_threshold(export, pairs, out):
    bundle = export(precision="int8", data=pairs)
    task = read_verification(bundle.path / "verify.json").task
    assert (task["metric"], task["pairs"]) == ("accuracy", 80)
    assert 0.5 < task["source"] <= 1
    assert task["drop"] == pytest.approx(task["source"] - task["artefact"])
    assert task["interval"][0] <= task["drop"] <= task["interval"][1]
    assert [told for told in bundle.decisions if told.startswith("threshold")] == [
        "threshold far_1e-2: not fitted, that of the source stays; FAR 0.01 needs 1,000 "
        "impostor pairs, found 40",
        "threshold far_1e-3: not fitted, there is none; FAR 0.001 needs 10,000 impostor pairs, "
        "found 40",
    ]
    # 40 impostor pairs tell nothing about FAR 1e-2: what the source knows is not thrown away.
    assert bundle.thresholds == {"far_1e-2": {"value": 0.6, "low": 0.55, "high": 0.65}}


def test_data_is_part_of_the_proof(export, pairs):
    assert export().build["proof"]["data_sha256"] is None
    first = export(data=pairs)
    assert len(first.build["proof"]["data_sha256"]) == 64
    assert export(data=pairs) == first


def test_calibration_and_data_may_not_overlap(export, pairs):
    from edgesdk.core.errors import UsageError

    with pytest.raises(UsageError, match="are in the evaluation set as well") as caught:
        export(precision="int8", calib=pairs, data=pairs)
    assert caught.value.exit_code == 2


def test_one_changed_calibration_picture_changes_the_hash(export, pairs):
    from PIL import Image

    first = export(precision="int8", calib=pairs, calib_samples=200)
    assert "80 of 80 pictures" in first.decisions[1]
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(pairs / "0_0.png")
    second = export(precision="int8", calib=pairs, calib_samples=200)
    assert first.calib_sha256 != second.calib_sha256
    assert first.build["export_sha256"] != second.build["export_sha256"]


def judged(accepted, correct, tar=0.5):
    facts = {"far": "far_1e-2"}
    return Judged(
        metrics=(
            Metric(key="accuracy", value=float(correct.mean()), items=correct),
            Metric(key="tar", value=tar, items=accepted, facts=facts),
        )
    )


class Set:
    """What `contrast` reads of an evaluation set."""

    name, sha256, counted = "made-up", "0" * 64, "pairs"

    def __len__(self):
        return 1000


def test_a_drop_of_accuracy_fails():
    right = np.ones(1000, bool)
    wrong = right.copy()
    wrong[:30] = False
    task, reasons = contrast(judged(right, right), judged(right, wrong), Set(), 0.01)
    assert task["drop"] == pytest.approx(0.03)
    assert (task["metric"], task["data"], task["pairs"]) == ("accuracy", "made-up", 1000)
    assert reasons == ["accuracy falls from 1.0000 to 0.9700, a drop of at most 0.01 is allowed"]
    assert contrast(judged(right, right), judged(right, wrong), Set(), 0.05)[1] == []


def test_a_metric_that_should_be_low_fails_where_it_rises():
    def error(value):
        metric = Metric(key="error", value=value, items=np.full(50, value), higher_is_better=False)
        return Judged(metrics=(metric,))

    task, reasons = contrast(error(0.1), error(0.3), Set(), 0.01)
    assert task["drop"] == pytest.approx(0.2)
    assert task["interval"] == pytest.approx([0.2, 0.2])
    assert reasons == ["error rises from 0.1000 to 0.3000, a rise of at most 0.01 is allowed"]
    assert contrast(error(0.3), error(0.1), Set(), 0.01)[1] == []


@pytest.mark.parametrize(("lost", "fails"), [(300, True), (15, False)])
def test_tar_fails_only_beyond_its_noise(lost, fails):
    right = np.ones(1000, bool)
    low = right.copy()
    low[:lost] = False
    before, after = judged(right, right, tar=1.0), judged(low, right, tar=1 - lost / 1000)
    task, reasons = contrast(before, after, Set(), 0.01)
    assert task["tar"]["drop"] == pytest.approx(lost / 1000)
    assert bool(reasons) is fails
    assert all(reason.startswith("tar at far_1e-2 falls") for reason in reasons)


def test_thresholds_follow_the_scores_of_the_artefact(make_face_bundle, pairs):
    """Opening 2: a shifted score keeps its false accept rate only with its own threshold."""
    from edgesdk.core.biometrics import cosine
    from edgesdk.pairs import read_pairs

    # Many impostors, so that FAR 1e-2 can be told.
    listed = [f"{i}_{v}.png" for i in range(40) for v in (0, 1)]
    rows = [f"{int(a[:-6] == b[:-6])},{a},{b}" for a in listed for b in listed if a < b]
    (pairs / "pairs.csv").write_text("\n".join(rows))
    read = read_pairs(pairs)
    source = make_face_bundle()

    def run(arrays):
        return {"embedding": arrays["image"].reshape(len(arrays["image"]), -1)}

    def shifted(arrays):
        rows = run(arrays)["embedding"]
        return {"embedding": np.hstack([rows, np.full((len(rows), 1), 12.0, np.float32)])}

    task = task_of("face-embedding")
    data = task.evaluation(pairs)
    plain, moved = (task.judge(info(source_of(source)), [r], data)[0] for r in (run, shifted))
    own, foreign = (judged.thresholds["far_1e-2"]["value"] for judged in (moved, plain))
    inputs = {"image": source.preprocess["image"]([read.read(i) for i in range(80)])}
    impostor = cosine(*shifted(inputs)["embedding"][read.pairs])[~read.same].astype(np.float64)
    assert (impostor >= own).mean() <= 0.01
    assert (impostor >= foreign).mean() > 0.02


def test_tasks_without_embeddings_are_refused(make_face_bundle, pairs):
    from edgesdk.core.errors import UnsupportedError

    source = replace(make_face_bundle(), postprocess={"kind": "scores"})
    task = task_of("face-embedding")
    with pytest.raises(UnsupportedError, match="leave out --data"):
        task.judge(info(source_of(source)), [], task.evaluation(pairs))


def test_preprocessing_is_that_of_the_manifest(export):
    bundle = export()
    assert isinstance(bundle.preprocess["image"], Preprocess)
    tensor = np.fromfile(bundle.path / "golden" / "image.f32", np.float32)
    pictures = np.fromfile(bundle.path / "golden" / "pictures.u8", np.uint8)
    made = bundle.preprocess["image"](list(pictures.reshape(8, 64, 64, 3)))
    assert np.array_equal(made.ravel(), tensor)


def test_accuracy_without_the_source_is_refused_not_skipped(export, pairs, tmp_path):
    alone = tmp_path / "elsewhere" / "tiny"
    shutil.copytree(export().path, alone)
    with pytest.raises(UnsupportedError, match="judged beside its source"):
        verify_bundle(read_bundle(alone), data=pairs)
    with pytest.raises(UsageError, match="max_drop"):
        verify_bundle(read_bundle(alone), data=pairs, max_drop=float("nan"))
