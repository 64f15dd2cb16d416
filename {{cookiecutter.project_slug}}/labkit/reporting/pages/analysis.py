"""analysis.py: where a question begins that the report does not answer. Written once, then it is the reader's own."""

import os
from pathlib import Path

from labkit.text import one_line

CELLS = """\
# %% [markdown]
# # Study {study}
# Cells for an editor (VS Code, PyCharm, Spyder) or, with jupytext, a notebook. The report wrote this file once and
# leaves it alone from now on: change what you like.

# %%
import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

HERE = Path(globals().get("__file__", "analysis.py")).resolve().parent  # a notebook has no __file__: it starts here
ROOT = (HERE / {root!r}).resolve()
sys.path.insert(0, str(ROOT))
os.chdir(ROOT)  # where the paths in the configuration begin

from modules.loading import load_run  # noqa: E402

# %% The runs: settings, best metrics, costs; full precision
runs = pd.read_csv(HERE / "runs.csv")
results = runs[runs["status"] == "finished"]
print(results.describe().T)

# %% The curves of one of them
folder = results["folder"].iloc[0]
curves = pd.read_csv(Path(folder) / "metrics.csv")
losses = curves[[column for column in curves if column.endswith("/loss")]]
losses.set_index(curves["epoch"]).plot(title=folder)
plt.show()

# %% Its model, data and configuration, with the weights of the best evaluation
run = load_run(folder)
print(run.model)
print(run.config.training, len(run.data.split.validation), "validation examples")
"""


def write_analysis(folder: Path, study: str, target: Path, root: Path) -> None:
    """Into `folder`, for its later place `target`; `root` is the project's."""
    way = Path(os.path.relpath(root, target)).as_posix()
    cells = CELLS.format(study=one_line(study), root=way)
    (folder / "analysis.py").write_text(cells, encoding="utf-8", newline="\n")
