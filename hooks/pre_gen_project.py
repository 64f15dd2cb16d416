"""Refuses, in a sentence, answers that cannot be kept as they are.

The slug is judged in cookiecutter.json: cookiecutter makes its folder before this hook runs.
"""

import json
import sys

ANSWERS = json.loads(r'''{{ cookiecutter | tojson }}''')  # fmt: skip
BRACES = ("{" + "{", "{" + "%", "{" + "#")  # written apart: this file is itself rendered


def refusal(key: str, answer: str) -> str | None:
    """The sentence to refuse a line of free text with, or None where it can be kept."""
    if not answer.strip():
        return f"{key}: is empty; write something, it can be changed later"
    if not answer.isprintable():
        return f"{key}: holds a line break or another character that does not print; write one plain line"
    if any(braces in answer for braces in BRACES):
        return f"{key}: holds template braces, which an update would run; leave them out"
    return None


if __name__ == "__main__":
    for key in ("project_name", "description", "author"):
        sentence = refusal(key, ANSWERS[key])
        if sentence:
            sys.exit(f"error: {sentence}")
