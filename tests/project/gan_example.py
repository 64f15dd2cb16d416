"""The task with two optimizers of docs/two_optimizers.md, as it stands there."""

import re
from typing import Any

from small_runs import ROOT

_DOCUMENT = (ROOT / "docs" / "two_optimizers.md").read_text(encoding="utf-8")
_NAMES: dict[str, Any] = {"__name__": __name__}
for _code in re.findall(r"^```python\n(.*?)^```$", _DOCUMENT, flags=re.DOTALL | re.MULTILINE):
    exec(_code, _NAMES)
GAN: Any = _NAMES["GAN"]
Adversarial: Any = _NAMES["Adversarial"]
