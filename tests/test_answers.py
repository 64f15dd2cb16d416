"""Answers are data: each one survives unchanged or is refused in a sentence, and none is executed."""

import html
import json
import keyword
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from baking import Bake, command, commit, cookiecutter, files, read_toml, succeed
from markdown_it import MarkdownIt

RULE = "project_slug must begin with a letter, hold letters, digits, _ and - only, be at most 50 long, and be no name"
REFUSED_SLUGS = {
    **{
        word: word
        for word in ("class", "True", "torch", "Modules", "json", "con", "COM1", "123abc", "-rf", "_x", "a b")
    },
    **{
        "up": "../evil",
        "up twice": "../../a/b",
        "absolute": "{outside}/evil",
        "nested": "a/b",
        "backslash": "..\\evil",
    },
    **{
        "empty": "",
        "dot": ".",
        "dots": "..",
        "long": "a" * 256,
        "one too long": "a" * 51,
        "tilde": "~",
        "umlaut": "größe",
    },
    **{"newline": "a\nb", "trailing newline": "a\n", "shell": "$(touch x)", "quote": "a'b", "emoji": "a😀"},
}
SURVIVING = {
    "quotes": """She said "it's" ok""",
    "triple quotes": "'''+str(1)+''' and \"\"\"",
    "backslashes": r"C:\new\table \\ \" \u0041 ends with \ ".strip(),
    "shell": "$(touch ran) `touch ran` ; touch ran | && $HOME > ran",
    "toml": '[x] = "y" # no comment',
    "yaml": "- a: {b: [c]} & *d !e % @",
    "markup": "<script>alert(1)</script> & $x_1$ # _a_ **b**",
    "emoji": "digits 😀 study 🇩🇪 ½ größe 数字",
    "joined": "👩\u200d🔬 ❤\ufe0f \u0645\u06cc\u200c\u062e\u0648 5\u00a0% \u202foui 数\u3000字 \u200eא\u200f a\u00adb",
    "comment": "<!-- x",
    "fence": "``` x",
    "list": "- a",
    "numbered": "12. a",
    "heading": "# a #",
    "line": "---",
    "link": "[x]: y &amp; ![a](b) ~~c~~",
    "single braces": "{a} } { %} #}",
    "python": '";__import__("pathlib").Path("ran").touch();"',
    "python in quotes": "''';__import__('pathlib').Path('ran').touch();r'''",
    "python at the end": "\\'''+__import__('os').system('touch ran')#",
}
REFUSED_TEXTS = {
    "delete": ("a \x7f", "does not print"),
    "paragraph": ("a \u2029 b", "line break"),
    "not to be seen": ("\u200b\u200d", "is empty"),
    "newline": ("two\nlines", "line break"),
    "return": ("two\rlines", "line break"),
    "control": ("bell \x07", "does not print"),
    "right to left": ("a \u202e b", "does not print"),
    "blank": (" ", "is empty"),
}


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def assert_refused(result: subprocess.CompletedProcess[str], sentence: str) -> None:
    assert result.returncode == 1, result.stdout + result.stderr
    assert sentence in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.parametrize("slug", REFUSED_SLUGS.values(), ids=REFUSED_SLUGS)
def test_unusable_slug_is_refused_and_nothing_is_written(slug: str, template: Path, tmp_path: Path) -> None:
    output = tmp_path / "outside" / "output"
    before = everything(tmp_path) | {output.parent, output}
    result = cookiecutter(template, output, {"project_slug": slug.format(outside=output.parent)})
    assert_refused(result, RULE)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", ["123 apples", "😀", "Torch", "..", "import"])
def test_the_rule_covers_the_slug_made_from_the_name(name: str, template: Path, tmp_path: Path) -> None:
    assert_refused(cookiecutter(template, tmp_path / "output", {"project_name": name}), RULE)
    assert list((tmp_path / "output").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "slug"), [("Größe & Tiefe: a Study", "grosse-tiefe-a-study"), ("word " * 40 + "end", "word-" * 9 + "word")]
)
def test_the_slug_is_made_from_the_name(name: str, slug: str, bake: Bake) -> None:
    assert bake(project_name=name).name == slug


@pytest.mark.parametrize("slug", ["a", "A_b-9", "a" * 50, "classes", "torchy"])
def test_usable_slug_names_the_folder(slug: str, bake: Bake) -> None:
    project = bake(project_slug=slug)
    assert project.name == slug
    assert read_toml(project / "pyproject.toml")["project"]["name"] == slug


def test_every_keyword_of_python_is_taken() -> None:
    context = json.loads((Path(__file__).parents[1] / "cookiecutter.json").read_text(encoding="utf-8"))
    assert {word.lower() for word in keyword.kwlist} <= set(context["_taken_names"].split())


@pytest.mark.parametrize("text", SURVIVING.values(), ids=SURVIVING)
def test_hostile_text_survives_and_is_not_executed(text: str, bake: Bake) -> None:
    project = bake(project_name=text, project_slug="study", description=text, author=text)
    metadata = read_toml(project / "pyproject.toml")["project"]
    assert metadata["description"] == text
    assert metadata["authors"] == [{"name": text}]
    page = MarkdownIt().render((project / "README.md").read_text(encoding="utf-8"))
    found = re.match(r"<h1>(.*)</h1>\n<p>(.*)</p>\n<p>This is the repository", page)
    assert found
    assert [html.unescape(shown) for shown in found.groups()] == [text, text]
    assert f"Copyright (c) {text}\n" in (project / "LICENSE").read_text(encoding="utf-8")
    cited = yaml.safe_load((project / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["title"], cited["abstract"], cited["authors"]) == (text, text, [{"name": text}])
    succeed(sys.executable, "-m", "ruff", "check", "--no-cache", "pyproject.toml", cwd=project)
    assert "ran" not in {Path(name).name for name in files(project.parent)}


@pytest.mark.parametrize("name", REFUSED_TEXTS)
def test_text_that_cannot_be_kept_is_refused(name: str, template: Path, tmp_path: Path) -> None:
    text, reason = REFUSED_TEXTS[name]
    key = ("project_name", "description", "author")[list(REFUSED_TEXTS).index(name) % 3]
    result = cookiecutter(template, tmp_path / "output", {"project_slug": "study", key: text})
    assert_refused(result, f"error: {key}: ")
    assert reason in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list((tmp_path / "output").iterdir()) == []


def test_a_slug_is_refused_at_its_own_question(template: Path, tmp_path: Path) -> None:
    result = cookiecutter(template, tmp_path / "output", {}, "A study\nimport\n")
    assert_refused(result, RULE)
    assert "[2/8]" in result.stdout
    assert "[3/8]" not in result.stdout


def test_typed_answers_are_kept(template: Path, tmp_path: Path) -> None:
    typed = 'My "study" 😀\nstudy\nWhat?\nA. Author\n2\nn\nn\ny\n'
    result = cookiecutter(template, tmp_path / "output", {}, typed)
    assert result.returncode == 0, result.stdout + result.stderr
    project = tmp_path / "output" / "study"
    assert (project / "README.md").read_text(encoding="utf-8").startswith('# My "study" 😀\n\nWhat?\n')
    assert (
        (project / "LICENSE")
        .read_text(encoding="utf-8")
        .startswith("BSD 3-Clause License\n\nCopyright (c) A. Author\n")
    )
    assert not (project / "env_setup" / "Dockerfile").exists()
    assert (project / ".gitlab-ci.yml").exists()
    assert result.stdout.endswith(f"The project is in {project}.\nNext:\n\n    cd {project}\n    make run\n\n")


BRACES = ["{{ 6 * 7 }}", "{% raw %}", "{# x #}", "{{ x"]


@pytest.mark.parametrize("braces", BRACES)
def test_template_braces_are_refused_and_not_run(braces: str, template: Path, tmp_path: Path) -> None:
    """Typed, and on the command line, where cookiecutter would run them."""
    typed = cookiecutter(template, tmp_path / "typed", {}, f"{braces}\nstudy\n\n\n\n\n\n\n")
    given = cookiecutter(template, tmp_path / "given", {"project_name": braces})
    for result, key in ((typed, "project_name: "), (given, f"project_name={braces}: ")):
        assert_refused(result, f"error: {key}holds template braces, which an update would run; leave them out\n")
    assert not list(tmp_path.glob("*/*"))


def test_cruft_refuses_in_the_same_words(template: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(template, tmp_path / "template")
    commit(copy, "first")
    for answers, sentence in (({"project_slug": "a b"}, RULE), ({"description": "{{ x"}, "holds template braces")):
        words = ("cruft", "create", copy, "--no-input", "--default-config", "--extra-context", json.dumps(answers))
        assert_refused(command(sys.executable, "-m", *words, cwd=tmp_path), sentence)
