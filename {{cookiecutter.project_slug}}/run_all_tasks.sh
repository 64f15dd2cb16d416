#!/bin/sh
# The whole study, as make run: prepare the data, run the sweep, evaluate on the test set, write the report.
cd "$(dirname "$0")" || exit 1
python=python3
[ -x .venv/bin/python ] && python=.venv/bin/python
exec "$python" make.py run
