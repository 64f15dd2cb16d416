#!/bin/sh
# All of the study: prepare the data, run the sweep, evaluate on the test set, write the report.
# Members of the sweep that failed do not stop the evaluation and the report of the others; the exit status tells.
cd "$(dirname "$0")" || exit 1
study=sweep_models
python=python3
[ -x .venv/bin/python ] && python=.venv/bin/python

"$python" runs/prepare.py || exit
"$python" runs/train.py +experiment=$study +launcher=joblib
status=$?
[ $status -ge 128 ] && exit $status # interrupted: the same command goes on from here
"$python" runs/evaluate.py study=$study || exit
"$python" runs/report.py study=$study || exit
exit $status
