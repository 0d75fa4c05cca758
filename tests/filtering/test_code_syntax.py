import json
from pathlib import Path

import pytest

from steps.filtering.code_syntax import GRAMMARS, json_error, python_error, strict_json_error, syntax_error

WHOLE = {
    "javascript": "const f = async (x) => { return await g(...x); };",
    "typescript": "interface A { x: number }\nconst a: A = { x: 1 };\nconst e = <div>{a.x}</div>;",
    "java": 'class A { public static void main(String[] args) { System.out.println("a"); } }',
    "go": 'package main\nimport "fmt"\nfunc main() { fmt.Println("a") }',
    "rust": 'fn main() { let v: Vec<i32> = (0..3).map(|x| x * 2).collect(); println!("{v:?}"); }',
    "c": '#include <stdio.h>\nint main(void) { printf("%d\\n", 1); return 0; }',
    "cpp": "#include <vector>\ntemplate <typename T> auto f(T t) -> decltype(t) { return t; }",
    "bash": 'for f in *.txt; do echo "$f" | tr a b; done',
    "python": "match x:\n    case [1, *rest]:\n        print(rest)",
    "json": '{"a": [1, 2.5e3, null, "\\u00e9"]}',
}
FRAGMENTS = {
    "javascript": ['"a": [1, 2]', "function f() { ... }", "render() { return 1 }", "..."],
    "java": ["list.size()", "private int x;\n// ...\nint f() { return x; }", "int x = 1;"],
    "go": ["x := 1\nfmt.Println(x)", "if err != nil { return err }"],
    "rust": ["let x = 1;\nx + 1", "fn f(&self) -> i32 { self.x }"],
    "c": ["x = 1;", "int f(int a, ...);", "f(x)"],
    "cpp": ["std::cout << 1;", "public:\n  int x;"],
    "bash": ["$ pip install <package>\nCollecting (a\n$ cd [YOUR_FOLDER] && \\\n  ls", "(venv) user@host:~$ ls -l"],
    "python": [
        "f(a=1, ...)",
        "x = [\n    1,\n    ...,\n    2,\n]",
        "def f(x):",
        "@cache",
        "f(<your_key>)",
        "class A:\n    # as above\n\nx = 1",
        "type X = int | str",
        "def first[T](x: list[T]) -> T: return x[0]",
    ],
    "json": [
        '"a": 1,\n"b": 2',
        '{"a": 1, // one\n "b": [1, ...]}',
        "{...}",
        '{"a": 1, ..., "b": 2}',
        '{"id": <id>}',
        "{}\n{}",
        "",
    ],
}
BROKEN = {
    "javascript": ["function f( { return 1 }", "const x = = 1;", "if (x { }"],
    "typescript": ["const x: = 1;", "interface { x }}"],
    "java": ["class A { void f() { int x = ; } }", 'String s = "a;', "int f() { return 1;"],
    "go": ["func main( { }", "x := := 1"],
    "rust": ["fn main() { let = 1; }", "struct A { x: }}"],
    "c": ["int main() { return 0; ", "for (int i = 0; i < 3; i++ { }"],
    "cpp": ["int main() { std::cout << ; }", "class A { int x"],
    "bash": ["if [ 1 ]; then echo a", 'echo "a'],
    "python": ["print 'old'", "def f(:", "x = (1", "a\0b", "for x in y\n    z", "x = 'a"],
    "json": ["{'a': 1}", '{"a": 1,}', '{"a" 1}', "[1 2]", '{"a": NaN}', "[" * 100_000, '{"a": "b\nc"}', "{{}"],
}


@pytest.mark.parametrize("language", WHOLE)
def test_whole_files_parse(language):
    assert syntax_error(language, WHOLE[language], fragments=False) is None


@pytest.mark.parametrize(
    ("language", "text"), [(language, text) for language in FRAGMENTS for text in FRAGMENTS[language]]
)
def test_fragments_parse(language, text):
    assert syntax_error(language, text) is None


@pytest.mark.parametrize(("language", "text"), [(language, text) for language in BROKEN for text in BROKEN[language]])
def test_mistakes_are_found_in_fragments_too(language, text):
    assert syntax_error(language, text)


def test_every_language_says_where_it_is_cut_off():
    for language in GRAMMARS:
        if language not in ("python", "bash"):
            assert syntax_error(language, "void f() {\n  g(1,\n"), language


def test_very_long_code_is_not_judged():
    assert syntax_error("c", "int x = ;\n" * 40_000) is None


def test_invalid_escapes_do_not_warn():
    assert python_error("x = '\\d'") is None


def test_null_bytes_are_an_error_not_a_crash():
    assert json_error("\0")


@pytest.mark.real_data
def test_the_json_test_suite_agrees(real_data: Path) -> None:
    """Files that begin with y must pass, with n must fail; i is up to the parser."""
    judged = 0
    for path in sorted((real_data / "jsontestsuite/test_parsing").glob("[yn]_*.json")):
        try:
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            assert path.name.startswith("n_"), path.name
            continue
        judged += 1
        assert (strict_json_error(text) is None) == path.name.startswith("y_"), path.name
    assert judged > 250


@pytest.mark.real_data
def test_hostile_strings_are_judged_without_a_crash(real_data: Path) -> None:
    strings = json.loads((real_data / "blns/blns.json").read_text())
    for text in strings:
        for language in ("json", "python", "typescript", "cpp"):
            syntax_error(language, text)
