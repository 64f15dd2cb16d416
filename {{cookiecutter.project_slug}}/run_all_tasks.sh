#!/bin/sh
# The whole study: prepare the data, run the sweep, evaluate on the test set, write the report.
# If members of the sweep fail, the others are still evaluated and reported, and the exit status is not 0.
cd "$(dirname "$0")" || exit 1
study=sweep_models
python=python3
[ -x .venv/bin/python ] && python=.venv/bin/python

"$python" runs/prepare.py || exit
"$python" runs/train.py +experiment=$study +launcher=joblib
status=$?
[ $status -ge 128 ] && exit $status # interrupted: the same command continues from here
"$python" runs/evaluate.py study=$study || exit
"$python" runs/report.py study=$study || exit
exit $status
