"""Source code: one fenced block under the file's path; the title is what the module's first comment calls it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from steps.extraction.licences import licence_in
from steps.extraction.parts import fenced
from steps.extraction.text import Extracted, Place, decode_counted

#: Fence language by suffix.
LANGUAGES: Mapping[str, str] = {
    f".{suffix}": language
    for language, suffixes in {
        "python": "py pyi pyx", "javascript": "js mjs cjs jsx", "typescript": "ts tsx mts cts", "java": "java",
        "c": "c h", "cpp": "cc cpp cxx hpp hh hxx", "csharp": "cs", "go": "go", "rust": "rs", "ruby": "rb",
        "php": "php", "swift": "swift", "kotlin": "kt kts", "scala": "scala sc", "r": "r", "julia": "jl",
        "bash": "sh bash zsh", "powershell": "ps1 psm1", "sql": "sql", "perl": "pl pm", "lua": "lua",
        "haskell": "hs", "ocaml": "ml mli", "elixir": "ex exs", "erlang": "erl", "clojure": "clj cljs", "dart": "dart",
        "objectivec": "m mm", "fortran": "f90 f95 f03", "css": "css scss less", "vue": "vue",
        "svelte": "svelte", "json": "json json5", "yaml": "yaml yml", "toml": "toml", "ini": "ini cfg conf",
        "xml": "xml xsd xsl", "protobuf": "proto",
        "graphql": "graphql gql", "hcl": "tf hcl", "dockerfile": "dockerfile", "makefile": "mk", "cmake": "cmake",
        "latex": "tex", "groovy": "groovy gradle", "zig": "zig", "nix": "nix", "cuda": "cu cuh", "verilog": "v sv",
        "vb": "vb", "fsharp": "fs fsx", "jinja": "jinja j2", "diff": "diff patch",
    }.items()
    for suffix in suffixes.split()
}  # fmt: skip
#: Fence language of files without a suffix.
NAMES: Mapping[str, str] = {
    "dockerfile": "dockerfile",
    "makefile": "makefile",
    "jenkinsfile": "groovy",
    "rakefile": "ruby",
}
_DOCSTRING = re.compile(r"\s*(?:#[^\n]*\n\s*)*[rRuU]?(\"\"\"|''')(.*?)\1", re.DOTALL)
_BLOCK_COMMENT = re.compile(r"\s*/\*+(.*?)\*/", re.DOTALL)
#: First lines that speak of rights, or of the editor, and are no title.
_NO_TITLE = re.compile(r"copyright|licen[cs]e|spdx|eslint|-\*-|@\w+|generated|do not edit|vim:|http", re.IGNORECASE)
#: Definitions that begin a section of the offset map, in most languages.
_DEFINITION = re.compile(
    r"^(?:export\s+|public\s+|pub(?:\([^)]*\))?\s+|async\s+|static\s+|abstract\s+|default\s+|final\s+)*"
    r"(?:def|class|function|func|fn|struct|enum|trait|interface|impl|module|type)\s+([A-Za-z_]\w*)",
    re.MULTILINE,
)
MAX_TITLE_CHARACTERS = 100


def language_of(name: str) -> str | None:
    """Return the fence language of a file by its name, None if it is no source code.

    >>> language_of("a/b.PY"), language_of("Dockerfile"), language_of("notes.txt")
    ('python', 'dockerfile', None)
    """
    path = PurePosixPath(name)
    return LANGUAGES.get(path.suffix.lower()) or NAMES.get(path.name.lower())


def read_code(content: bytes, name: str) -> Extracted:
    """Read a source file; its sections are its definitions.

    Raises:
        UnusableError: if it is empty, binary, or of no known encoding.
    """
    code, repairs = decode_counted(content)
    language = language_of(name) or ""
    block = fenced(code, language)
    text = f"# {name}\n\n{block}"
    start = len(text) - len(block) + block.index("\n") + 1
    stripped = code.strip("\n").rstrip()
    places = tuple(Place(start + found.start(), found[1]) for found in _DEFINITION.finditer(stripped))
    return Extracted(text, _title(stripped) or PurePosixPath(name).name, places, licence_in(code), repairs)


def _title(code: str) -> str | None:
    found = _DOCSTRING.match(code) or _BLOCK_COMMENT.match(code)
    if not found:
        return None
    for raw in found[found.re.groups].split("\n"):
        line = raw.strip(" \t*#").strip()
        if line and not _NO_TITLE.search(line):
            return line.rstrip(".") if len(line) <= MAX_TITLE_CHARACTERS else None
    return None
