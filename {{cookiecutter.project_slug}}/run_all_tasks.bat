@echo off
rem The whole study: prepare the data, run the sweep, evaluate on the test set, write the report.
rem If members of the sweep fail, the others are still evaluated and reported, and the exit status is not 0.
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
