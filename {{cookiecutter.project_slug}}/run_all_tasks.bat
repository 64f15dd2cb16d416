@echo off
rem All of the study: prepare the data, run the sweep, evaluate on the test set, write the report.
rem Members of the sweep that failed do not stop the evaluation and the report of the others; the exit status tells.
setlocal
cd /d "%~dp0"
set study=sweep_models
set python=python
if exist .venv\Scripts\python.exe set python=.venv\Scripts\python.exe

%python% runs\prepare.py || exit /b 1
%python% runs\train.py +experiment=%study% +launcher=joblib
set status=%errorlevel%
%python% runs\evaluate.py study=%study% || exit /b 1
%python% runs\report.py study=%study% || exit /b 1
exit /b %status%
