# make demo: a project from this template, with a real sweep and its report.   make test: everything that can be tested here.
PYTHON ?= python3
P := {{cookiecutter.project_slug}}
DEMO := build/digits-study
VENV := $(CURDIR)/.venv

.PHONY: demo test lint install clean

demo: install
	rm -rf $(DEMO)
	.venv/bin/python -m cookiecutter . --no-input --output-dir build project_name="Digits study"
	ln -s "$(VENV)" $(DEMO)/.venv
	cd $(DEMO) && ./run_all_tasks.sh
	@echo "The report: $(CURDIR)/$(DEMO)/data/reports/sweep_models/report.pdf"

test: install
	.venv/bin/python -m pytest --numprocesses auto --dist loadfile tests

lint: install
	.venv/bin/python -m ruff check
	.venv/bin/python -m ruff format --check
	.venv/bin/python -m pyright --pythonpath .venv/bin/python

clean:
	rm -rf build .venv

# The braces in the folder's name are no matter to the shell inside quotes, but make cannot have them as a prerequisite.
install: .venv/installed

.venv/installed: requirements-dev.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet -r requirements-dev.txt -r "$(P)/env_setup/requirements.txt"
	touch $@
