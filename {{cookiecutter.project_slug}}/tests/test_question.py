"""docs/question.md and the files in studies/ say the same."""

import pytest
from small_runs import ROOT

from labkit.reporting.analysis.study_file import StudyFile, read_study_file

STUDIES = sorted(path.stem for path in (ROOT / "studies").glob("*.yaml"))


def what_it_says(file: StudyFile) -> dict[str, str]:
    """What has to stand in the words of the file, by key."""
    settings = {"baseline": file.baseline} | {f"comparisons {i}": one.own for i, one in enumerate(file.planned)}
    texts = {name: " ".join(f"{key}={value}" for key, value in setting.items()) for name, setting in settings.items()}
    texts |= {key: str(getattr(file, key)) for key in ("question", "hypothesis", "formal_problem", "metric")}
    return texts | {key: f" {getattr(file, key)}" for key in ("smallest_difference", "alpha")}


@pytest.mark.parametrize("study", STUDIES)
def test_the_question_says_what_the_study_file_says(study: str) -> None:
    file = read_study_file(ROOT / "studies", study)
    assert file
    text = (ROOT / "docs" / "question.md").read_text(encoding="utf-8")
    _, heading, section = text.partition(f"\n## {study}\n")
    assert heading, f'docs/question.md: has no section "## {study}"'
    said = " ".join(section.partition("\n## ")[0].split())
    for key, words in what_it_says(file).items():
        assert " ".join(words.split()) in said, f"docs/question.md: {study}: does not say {key}: {words}"
