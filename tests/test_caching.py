from pathlib import Path

from steps import caching


def project(tmp_path: Path, monkeypatch) -> Path:
    """A small project: stage `a` imports b.logic inside a function, which imports rows; `c` is unrelated."""
    files = {
        "steps/__init__.py": "",
        "steps/rows.py": "X = 1\n",
        "steps/errors.py": "class E(Exception): ...\n",
        "steps/a/__init__.py": "",
        "steps/a/step.py": "from steps.a.logic import f\n",
        "steps/a/logic.py": "from steps.errors import E\ndef f():\n    from steps.b.logic import g\n    return g()\n",
        "steps/a/prompt.yaml": "text: hi\n",
        "steps/b/__init__.py": "",
        "steps/b/logic.py": "from steps import rows\ndef g():\n    return rows.X\n",
        "steps/b/step.py": "from steps.b.logic import g\n",
        "steps/b/template.jinja": "{{ x }}\n",
        "steps/c/__init__.py": "",
        "steps/c/logic.py": "import json\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(caching, "ROOT", tmp_path)
    caching._imported.cache_clear()
    return tmp_path


def test_a_step_depends_on_its_folder_and_on_all_that_is_imported_directly_or_not(tmp_path, monkeypatch):
    root = project(tmp_path, monkeypatch)
    found = caching.dependencies(root / "steps/a/step.py")
    assert {"steps/a/logic.py", "steps/a/prompt.yaml", "steps/b/logic.py", "steps/rows.py"} <= set(found)
    assert "steps/b/template.jinja" in found


def test_a_step_does_not_depend_on_other_stages_or_on_how_things_are_stored(tmp_path, monkeypatch):
    root = project(tmp_path, monkeypatch)
    found = caching.dependencies(root / "steps/a/step.py")
    assert "steps/c/logic.py" not in found
    assert "steps/b/step.py" not in found
    assert "steps/errors.py" not in found


def test_the_policy_of_a_real_step_hashes_files_not_only_the_step_function():
    policy = caching.rerun_when_changed(str(caching.ROOT / "steps" / "filtering" / "step.py"))
    assert "steps/ledger.py" in policy.file_dependencies
    assert any(name.startswith("steps/filtering/") for name in policy.file_dependencies)
