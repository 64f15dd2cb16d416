"""Adds a paper note from the template in docs/paper_notes.md: python runs/note.py "A title" """

import re
import sys
from datetime import date
from pathlib import Path

NOTES = Path(__file__).resolve().parents[1] / "docs" / "paper_notes.md"
TEMPLATE = re.compile(r"^## Template: title(?P<about>.*)\n(?P<body>(?:(?!## ).*\n?)*)", re.MULTILINE)


def main() -> None:
    """Appends the note. Exit status 0, or 2 without a title, or 1 after "error: <one sentence>"."""
    title = " ".join(" ".join(sys.argv[1:]).split())
    if not title:
        print(
            'error: title: is empty; say which paper, as in make note title="Attention is all you need"',
            file=sys.stderr,
        )
        sys.exit(2)
    text = NOTES.read_text(encoding="utf-8") if NOTES.exists() else ""
    template = TEMPLATE.search(text)
    if not template:
        sys.exit('error: docs/paper_notes.md: has no section "## Template: title (...)", from which a note is made')
    heading = f"## {title}"
    if re.search(rf"^{re.escape(heading)}( \(|$)", text, re.MULTILINE):
        sys.exit(f'error: docs/paper_notes.md: has a note on "{title}" already')
    note = f"\n{heading}{template['about']}\n\nRead: {date.today()}\n{template['body'].rstrip()}\n"
    with NOTES.open("a", encoding="utf-8", newline="\n") as file:
        file.write(note if text.endswith("\n") else f"\n{note}")
    print(f"docs/paper_notes.md: {title}")


if __name__ == "__main__":
    main()
