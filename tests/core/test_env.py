"""Facts of the machine: known, or None."""

from edgesdk.core import env


def test_facts_are_known_or_none_never_zero(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    facts = env.environment()
    assert facts["cores"] >= 1
    assert facts["python"].count(".") == 2
    assert facts["versions"]["numpy"]
    assert facts["variables"]["OMP_NUM_THREADS"] == "1"
    for key in (
        "cpu",
        "governor",
        "cpu_limit",
        "memory_mb",
        "memory_limit_mb",
        "gpu",
        "power_mode",
    ):
        assert facts[key] is None or facts[key]


def test_absent_files_are_none(monkeypatch, tmp_path):
    monkeypatch.setattr(env, "CPU", tmp_path)
    monkeypatch.setattr(env, "CGROUP", tmp_path)
    facts = env.environment()
    assert facts["governor"] is None
    assert facts["cpu_limit"] is None
    assert facts["clocks_mhz"]["highest"] is None


def test_a_containers_limits_are_read(monkeypatch, tmp_path):
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text(f"{2**30}\n")
    monkeypatch.setattr(env, "CGROUP", tmp_path)
    facts = env.environment()
    assert facts["cpu_limit"] == 1.5
    assert facts["memory_limit_mb"] == 1024


def test_unlike_machines_are_told_apart():
    facts = env.environment()
    assert env.unlike(facts, dict(facts)) == []
    assert env.unlike(facts, {**facts, "cpu": "other"}) == [f"cpu: {facts['cpu']} against other"]
