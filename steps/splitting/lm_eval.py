"""Tasks of the lm-evaluation-harness as benchmarks: what their YAML says a model is asked, and what it should answer.

Read: `task`, `group` (lists of names, files or inline tasks), `include`, `dataset_path`, `dataset_name`,
`dataset_kwargs`, `test_split` / `validation_split` (the evaluated one), `doc_to_text`, `doc_to_target`,
`doc_to_choice`. Python named by `!function` is not run: a task that uses it is compared by all texts of its rows.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import xxhash
import yaml

from steps.errors import InputError
from steps.splitting.lm_eval_rows import file_rows, hub_rows, local_files

_KEY = "curation.decontaminate.lm_eval_tasks"
_TEXT_KEYS = ("doc_to_text", "doc_to_target", "doc_to_choice")
#: Deepest chain of `include` and of groups in groups: more is a loop.
_MAX_DEPTH = 8


class Function(NamedTuple):
    """A `!function module.name` of a task: known by name, never run."""

    name: str


class _Loader(yaml.SafeLoader):
    """Plain YAML, and `!function` as a name."""


_Loader.add_constructor("!function", lambda loader, node: Function(str(node.value)))


class Task(NamedTuple):
    """One task.

    Attributes:
        name: Its `task`.
        settings: The YAML with its includes.
        sources: The YAML files that it was read from, itself first.
    """

    name: str
    settings: dict[str, Any]
    sources: tuple[Path, ...]

    @property
    def split(self) -> str:
        """The evaluated split."""
        split = self.settings.get("test_split") or self.settings.get("validation_split")
        if not isinstance(split, str):
            raise InputError(
                f"{_KEY}: {self.sources[0]} names neither test_split nor validation_split; name the evaluated one"
            )
        return split

    def files(self) -> list[Path]:
        """List the local files of the task: its YAML, and its rows where they are files."""
        return [*self.sources, *local_files(self.settings, self.split, self.sources)]

    def fingerprint(self) -> str:
        """Return a hash of all that decides the task's texts."""
        digest = xxhash.xxh3_128()
        for file in self.files():
            digest.update(file.read_bytes() + b"\0")
        if not local_files(self.settings, self.split, self.sources):
            digest.update(hub_rows(self.settings, self.split, self.name)._fingerprint.encode())
        return str(digest.hexdigest())

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield `lm_eval:task:N` and each text of the evaluated split's row N.

        The texts are the rendered prompt and target, and the row's own strings that these templates name: a training
        row seldom has the words that a template puts around a question.

        Raises:
            InputError: if the rows cannot be read, or a template names a field that a row lacks.
        """
        files = local_files(self.settings, self.split, self.sources)
        rows: Iterable[Mapping[str, Any]]
        rows = file_rows(files, self.settings, self.split) if files else hub_rows(self.settings, self.split, self.name)
        render = _renderer(self)
        for number, row in enumerate(rows):
            evidence = f"lm_eval:{self.name}:{number}"
            for text in dict.fromkeys(render(row, evidence)):
                if text.strip():
                    yield evidence, text


def load_tasks(paths: Sequence[str]) -> list[Task]:
    """Read tasks and groups of tasks.

    Raises:
        InputError: naming the file and what is wrong with it.
    """
    tasks = {task.name: task for path in paths for task in _tasks_of(Path(path), 0)}
    return list(tasks.values())


def _tasks_of(path: Path, depth: int) -> Iterator[Task]:
    settings, sources = _read(path, depth)
    yield from _expand(settings, sources, depth)


def _expand(settings: dict[str, Any], sources: tuple[Path, ...], depth: int) -> Iterator[Task]:
    """Yield the task, or the tasks of the group that the settings describe."""
    if depth > _MAX_DEPTH:
        raise InputError(f"{_KEY}: {sources[0]}: groups stand in each other more than {_MAX_DEPTH} deep; is it a loop?")
    members = settings.get("task")
    if isinstance(members, str):
        yield Task(members, settings, sources)
    elif isinstance(members, list):
        for member in members:
            yield from _member(member, sources, depth + 1)
    else:
        raise InputError(
            f"{_KEY}: {sources[0]} is neither an lm-eval task (task: NAME) nor a group (group: NAME, task: [NAMES])"
        )


def _member(member: Any, sources: tuple[Path, ...], depth: int) -> Iterator[Task]:
    """Yield the tasks of a group's member: a name, or a mapping that changes or defines a task."""
    folder = sources[0].parent
    if isinstance(member, str):
        yield from _tasks_of(_file_of(member, folder), depth)
        return
    if not isinstance(member, dict):
        raise InputError(f"{_KEY}: {sources[0]}: {member!r} is neither the name of a task nor a task")
    own, chain = dict(member), sources
    if isinstance(own.get("task"), str) and "dataset_path" not in own and "include" not in own:
        base, more = _read(_file_of(own["task"], folder), depth)
        own, chain = {**base, **own}, (*sources, *more)
    elif "include" in own:
        base, more = _read(folder / str(own.pop("include")), depth)
        own, chain = {**base, **own}, (*sources, *more)
    yield from _expand(own, chain, depth)


def _read(path: Path, depth: int) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """Return a YAML with what it includes, its own keys first, and the files read."""
    if depth > _MAX_DEPTH:
        raise InputError(f"{_KEY}: {path}: includes stand in each other more than {_MAX_DEPTH} deep; is it a loop?")
    try:
        settings = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{_KEY} names {path}, which cannot be read as YAML ({error}); correct the path") from None
    if not isinstance(settings, dict):
        raise InputError(f"{_KEY}: {path} holds {type(settings).__name__}, not an lm-eval task")
    sources: tuple[Path, ...] = (path,)
    if (include := settings.pop("include", None)) is not None:
        base, more = _read(path.parent / str(include), depth + 1)
        settings, sources = {**base, **settings}, (path, *more)
    return settings, sources


def _file_of(name: str, folder: Path) -> Path:
    """Return the YAML beside or below a group's own that defines the task or group `name`."""
    if name.endswith((".yaml", ".yml")):
        return folder / name
    found = _defined_in(folder).get(name)
    if found is None:
        raise InputError(
            f"{_KEY}: no YAML file in {folder} defines the task {name!r} of the group; copy it there, or name the "
            "tasks' files one by one"
        )
    return found


@lru_cache(maxsize=8)
def _defined_in(folder: Path) -> dict[str, Path]:
    """Return task or group -> its file, by the line that names it."""
    named = re.compile(r"^(?:task|group):[ \t]*[\"']?([\w.\-]+)[\"']?[ \t]*(?:#.*)?$", re.MULTILINE)
    found: dict[str, Path] = {}
    for file in sorted((*folder.rglob("*.yaml"), *folder.rglob("*.yml"))):
        for name in named.findall(file.read_text(encoding="utf-8", errors="replace")):
            found.setdefault(name, file)
    return found


def _renderer(task: Task) -> Any:
    """Return a function of a row and its evidence that gives the row's texts."""
    from jinja2 import StrictUndefined, TemplateError, meta
    from jinja2.sandbox import SandboxedEnvironment

    from steps.splitting.benchmarks import strings

    environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters["regex_replace"] = lambda text, pattern, by="", count=0: re.sub(pattern, by, text, count=count)
    asked = {key: task.settings[key] for key in _TEXT_KEYS if task.settings.get(key) is not None}
    foreign = any(isinstance(value, Function) for value in (*asked.values(), task.settings.get("process_docs")))
    templates = {key: value for key, value in asked.items() if isinstance(value, str)}
    compiled = {key: environment.from_string(value) for key, value in templates.items()}
    fields = {name for value in templates.values() for name in meta.find_undeclared_variables(environment.parse(value))}

    def value_of(key: str, row: Mapping[str, Any]) -> Any:
        """Return a `doc_to_…` for a row: a field by name, a rendered template, or the value itself."""
        value = asked.get(key)
        if isinstance(value, str):
            return row[value] if value in row else compiled[key].render(**row)
        return None if isinstance(value, Function) else value

    def render(row: Mapping[str, Any], evidence: str) -> Iterator[str]:
        if foreign:
            yield from strings(dict(row))
            return
        try:
            prompt, target, choices = (value_of(key, row) for key in _TEXT_KEYS)
        except TemplateError as error:
            raise InputError(f"{evidence}: a template of {task.sources[0]} cannot be rendered ({error})") from None
        yield from strings(prompt)
        yield from strings(_chosen(target, choices))
        for name in sorted(fields | {value for value in templates.values() if value in row}):
            yield from strings(row.get(name))

    return render


def _chosen(target: Any, choices: Any) -> Any:
    """Return the target as text: a number is the position of a choice where there are choices."""
    if isinstance(choices, str):
        try:
            choices = ast.literal_eval(choices)
        except (ValueError, SyntaxError):
            return target
    if isinstance(target, str) and target.strip().isdigit():
        target = int(target)
    if isinstance(target, int) and isinstance(choices, list) and 0 <= target < len(choices):
        return [choices[target], *choices]
    return str(target) if isinstance(target, int | float) else target
