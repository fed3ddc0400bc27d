"""One case per reader: a file made up by chance is read and used, or refused in a sentence.

A case takes decisions and returns, or raises EdgeSdkError. Any other error is a fault of the
reader. Seeds are small files of the right form, built once per process.
"""

import json
import shutil
from functools import cache

import numpy as np

from edgesdk.core.bundle import parse_manifest, read_checkpoint
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.files import canonical, sha256_bytes
from edgesdk.core.golden import read_golden
from edgesdk.core.result import read_result
from edgesdk.core.shipped import shipped_bundle, shipped_checkpoint
from edgesdk.core.verify import read_verification
from tests.fuzz.choices import as_text, as_toml, changed_bytes, changed_json
from tests.fuzz.media import (
    a_class_set,
    a_face_pack,
    a_file_of_samples,
    a_library,
    a_list_of_classes,
    a_list_of_faces,
    a_list_of_pairs,
    a_manifest_of_an_app,
    a_network,
    a_picture,
    an_app,
    an_archive_of_pairs,
    captions_of_a_set,
)
from tests.fuzz.place import LARGEST, MODEL, ROOT, place, write
from tests.fuzz.place import forget as forget
from tests.fuzz.place import whole as whole


@cache
def manifest():
    data = json.loads((shipped_bundle(MODEL) / "bundle.json").read_text())
    del data["manifest_sha256"]
    data["build"] |= {
        "batch": [1, 8, 64], "mark": "a1", "accelerators": ["SM86"], "rebuild": "edgesdk export x",
        "effective": {"weights": {"fp32": 3}, "arithmetic": {"fp32": 2}, "file": "model.onnx"},
    }  # fmt: skip
    return data


def parsed(choices):
    """Return the bundle of a changed and sealed manifest."""
    data = json.loads(as_text(changed_json(choices, manifest())))
    try:
        data["manifest_sha256"] = sha256_bytes(canonical(data))
    except (ValueError, TypeError):
        data = manifest() | {"model": data}
    return parse_manifest(data, place() / "bundle")


def a_manifest(choices):
    from edgesdk.verbs.inspect import PLUGIN

    bundle = parsed(choices)
    assert bundle.name
    assert bundle.bytes >= 0
    assert bundle.sha256
    assert PLUGIN.show({"kind": "bundle", **bundle.to_json()})
    for how in bundle.preprocess.values():
        if max(how.size) <= LARGEST:
            assert np.isfinite(how([np.full((5, 7, 3), 255, np.uint8)])).all()


def a_card(choices):
    from edgesdk.core.verify import Verification
    from edgesdk_export._card import write_card

    (place() / "bundle").mkdir(exist_ok=True)
    write_card(parsed(choices), Verification(verdict="pass", level="host"))


def a_golden_index(choices):
    from edgesdk_export._golden import check_golden

    bundle, index = whole()
    (bundle.path / "golden/index.json").write_text(as_text(changed_json(choices, index)))
    try:
        golden = read_golden(bundle)
    except EdgeSdkError:
        check_golden(bundle, None)
        raise
    golden.reasons(golden.outputs)
    check_golden(bundle, lambda inputs: dict(golden.outputs))


def a_verdict(choices):
    from edgesdk.verbs.verify import PLUGIN
    from edgesdk_export._card import write_card

    bundle, _ = whole()
    seed = json.loads((shipped_bundle(MODEL) / "verify.json").read_text())
    found = read_verification(write("verify.json", as_text(changed_json(choices, seed))))
    PLUGIN.show(found)
    write_card(bundle, found)


@cache
def measured():
    data = json.loads(
        next((ROOT / "benchmarks/results/runtimes").glob("*-fp32-ort-*.json")).read_text()
    )
    for one in data["measurements"]:
        one["samples"], one["warmups"] = one["samples"][:3], one["warmups"][:1]
    return data


def a_result(choices):
    from edgesdk_benchmarks.report import html, markdown
    from edgesdk_benchmarks.report.groups import grouped
    from edgesdk_benchmarks.report.write import result_table

    path = write("result.json", as_text(changed_json(choices, measured())))
    results = [read_result(path), read_result(write("good.json", as_text(measured())))]
    groups = grouped(results)
    for text in (html.page("t", groups), markdown.text("t", groups), result_table(results)):
        text.encode()
    for result in results:
        canonical(result.to_json())


def a_text_of_json(choices):
    seeds = [
        manifest(),
        measured(),
        json.loads((shipped_bundle(MODEL) / "verify.json").read_text()),
    ]
    path = write("any.json", changed_bytes(choices, as_text(choices.pick(seeds)).encode()))
    choices.pick([read_result, read_verification])(path)


@cache
def trained():
    folder = place() / "checkpoint"
    shutil.copytree(shipped_checkpoint(MODEL), folder, dirs_exist_ok=True)
    return folder, json.loads((folder / "meta.json").read_text())


def a_checkpoint(choices):
    from edgesdk.core import plugins
    from edgesdk_runtimes.torch import as_bundle

    folder, meta = trained()
    (folder / "meta.json").write_text(as_text(changed_json(choices, meta)))
    checkpoint = read_checkpoint(folder)
    plugins.load(plugins.STUDENTS, checkpoint.student)
    assert as_bundle(checkpoint).name


TOLD = {
    "name": "mine",
    "task": "image-classification",
    "licence": "MIT",
    "labels": "labels.txt",
    "postprocess": {"scores": "probabilities"},
    "inputs": {"x": {"shape": [1, 3, 8, 8], "range": [0.0, 1.0], "preprocess": {"size": [8, 8]}}},
}
SETTINGS = {"settings": {"epochs": 3, "batch": 64, "seed": 1}}


def a_toml(choices, name, seed):
    """Write a changed TOML file: other values, or other bytes."""
    if choices.below(4):
        return write(name, as_toml(changed_json(choices, seed)))
    return write(name, changed_bytes(choices, as_toml(seed).encode()))


def what_a_model_is_told(choices):
    from edgesdk.core.source import Told
    from edgesdk.core.tensors import TensorSpec
    from edgesdk_export._told import about

    write("told/labels.txt", "a\nb\n")
    a_toml(choices, "told/model.toml", TOLD)
    tensors = (TensorSpec("x", (None, 3, 8, 8), layout="NCHW", kind="image"),)
    known = about(place() / "told" / "net.onnx", Told(), tensors, {})
    assert known.model
    assert known.inputs


@cache
def gallery():
    from edgesdk.galleries import Gallery

    made = Gallery(whole()[0])
    rows = np.eye(3, 128, dtype=np.float32)
    for name, row in zip(("Ann", "Bob", "Bob"), rows, strict=True):
        made.add(name, row[None], picture=f"{name}.jpg")
    for name in ("seed.json", "seed.gallery"):
        made.save(place() / name)
    return [(place() / name).read_bytes() for name in ("seed.json", "seed.gallery")]


def a_gallery(choices):
    from edgesdk.galleries import Gallery

    if choices.below(4):
        content = as_text(changed_json(choices, json.loads(gallery()[0])))
    else:
        content = changed_bytes(choices, choices.pick(gallery()))
    found = Gallery.load(write("faces.gallery", content), whole()[0])
    assert sum(found.people.values()) == len(found)
    found.identify(np.eye(1, 128, dtype=np.float32)[0])


def a_settings_file(choices):
    from edgesdk.core import plugins
    from edgesdk_training.settings import read_settings

    recipe = plugins.load(plugins.RECIPES, "bridge")
    read_settings(recipe.settings, a_toml(choices, "a.toml", SETTINGS), {})


def a_target(choices):
    from edgesdk.core import target

    seed = {
        "format": "x", "precisions": ["fp32", "int8"], "runtimes": ["ort"],
        "tolerance": {"fp32": {"atol": 1e-5, "rtol": 1e-3}, "int8": {"snr_db": 15.0}},
        "options": {"calibrated": ["int8"]},
    }  # fmt: skip
    a_toml(choices, "targets/odd.toml", seed)
    a_toml(choices, "profiles/odd.toml", {"target": "x", "batch": [1, 2, 4], "accelerators": ["a"]})
    before = target.files
    target.files = lambda package: place()
    try:
        target.read_target("odd").precision(None)
        target.read_profile("odd")
    finally:
        target.files = before


def a_report_of_a_page(choices):
    from edgesdk_runtimes._web_report import ReportError, read_report

    seed = {
        "schema_version": 1,
        "bundles": [{"load_ns": 1, "first_ns": 1, "outputs": {"e": "AAAAAA=="}, "embedding": "",
                     "pre": {"samples": [1], "repeat": 1}}],
        "device": {"user_agent": "a", "platform": "b", "model": "c", "cores": 2, "isolated": True,
                   "secure": True, "wake_lock": False, "hidden": False},
        "runtime": {"version": "1", "threads": 1, "isolated": True, "simd": True},
        "timer_step_ms": 0.1,
        "series": [{"bundle": 0, "plan": 0, "batch": 1, "samples": [1], "warmups": [1],
                    "repeat": 1}],
    }  # fmt: skip
    try:
        read_report(as_text(changed_json(choices, seed)).encode(), 1, [(0, 0, 1)])
    except ReportError as error:
        raise EdgeSdkError(str(error)) from None


def a_graph_of_the_reference(choices):
    from dataclasses import replace

    from edgesdk.core.session import Session
    from edgesdk.core.tensors import TensorSpec
    from edgesdk_runtimes.reference import PLUGIN

    graph = {
        "version": 1,
        "nodes": [
            {"op": "MatMul", "attrs": {}, "inputs": ["x", "w"], "outputs": ["m"]},
            {"op": "ReduceSum", "attrs": {"keepdims": 1}, "inputs": ["m"], "outputs": ["y"]},
        ],
        "weights": {"w": {"dtype": "float32", "shape": [3, 2], "offset": 0}},
    }
    path = write("graph/graph.json", as_text(changed_json(choices, graph)))
    write("graph/weights.bin", np.ones(6, "<f4").tobytes())
    tensors = {"inputs": (TensorSpec("x", (None, 3)),), "outputs": (TensorSpec("y", (None, 1)),)}
    bundle = replace(whole()[0], path=path.parent, entry=path.name, **tensors)
    with Session(PLUGIN.open(bundle, "cpu", 1), "cpu", 1) as session:
        session.run({"x": np.ones((2, 3), np.float32)})


def an_explanation(choices):
    from edgesdk_benchmarks.report import html, markdown
    from edgesdk_benchmarks.report.kinds import files_of
    from edgesdk_benchmarks.report.maps import KINDS, read_maps

    row = {
        "picture": "a.png", "decision": "same", "share": 0.9, "fidelity": None, "deletion": 0.1,
        "insertion": 0.8, "shifted_share": 0.5, "notes": ["beware"],
    }  # fmt: skip
    seed = {"kind": "explanation", "map": "map.png", "bundle": "b", **row, "others": [row]}
    path = write("map.json", as_text(changed_json(choices, seed)))
    files_of([path], KINDS)
    maps = [read_maps(path)]
    for text in (html.page("t", [], [], maps), markdown.text("t", [], [], maps)):
        text.encode()


def a_privacy_budget(choices):
    from edgesdk_training.privacy.budget import FILE, Budget, Charge

    spent = {"run": "r", "token": "a", "mechanism": "m", "queries": 4, "epsilon": 1.0}
    seed = {
        "schema_version": 1,
        "owners": {"t": {"limit": 5.0, "spent": [spent, spent | {"epsilon": None}]}},
    }
    path = write(FILE, as_text(changed_json(choices, seed)))
    budget = Budget(path.parent, "t", 5.0)
    budget.charge(Charge("r", "b", "m", 0.5, 4))
    assert budget.spent() >= 0
    assert budget.unprotected() >= 0


CASES = {
    case.__name__: case
    for case in (
        a_manifest, a_card, a_golden_index, a_verdict, a_result, a_text_of_json, a_checkpoint,
        a_picture, a_list_of_pairs, an_archive_of_pairs, a_list_of_classes, a_network, an_app,
        a_manifest_of_an_app, a_library, a_class_set, a_face_pack, a_file_of_samples, a_gallery,
        what_a_model_is_told, captions_of_a_set, a_list_of_faces,
        a_settings_file, a_target, an_explanation, a_report_of_a_page, a_graph_of_the_reference,
        a_privacy_budget,
    )
}  # fmt: skip
# Those that read foreign files in ways that no package of the base install offers.
NEEDS = {"a_network": "onnx", "a_checkpoint": "torch"}
