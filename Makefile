# make demo: a project from this template, with a real sweep and its report.
# make test: everything that can be tested here.
PYTHON ?= python3
P := {{cookiecutter.project_slug}}
DEMO := build/digits-study
VENV := $(CURDIR)/.venv

.PHONY: demo test chaos lint install clean

demo: install
	rm -rf $(DEMO)
	.venv/bin/python -m cookiecutter . --no-input --default-config --output-dir build project_name="Digits study"
	ln -s "$(VENV)" $(DEMO)/.venv
	cd $(DEMO) && ./run_all_tasks.sh
	@echo "The report: $(CURDIR)/$(DEMO)/data/reports/sweep_models/report.pdf"

# The tests in tests/project import the project into their process, and torch with it: the others, which start it as a
# user does, keep theirs clean. The tests of Slurm run alone: the jobs of one file already take all cores.
test: install
	.venv/bin/python -m pytest --numprocesses auto --dist worksteal tests/project
	.venv/bin/python -m pytest --numprocesses auto --ignore tests/project --ignore-glob "tests/test_slurm_*" tests
	.venv/bin/python -m pytest tests/test_slurm_*.py

# make chaos: a sweep of 30 runs under kills, full disks and damaged files must equal an undisturbed one, bit for bit.
chaos: install
	.venv/bin/python tests/chaos.py

lint: install
	.venv/bin/python -m ruff check --no-cache
	.venv/bin/python -m ruff format --check --no-cache
	.venv/bin/python -m pyright --pythonpath .venv/bin/python

clean:
	rm -rf build .venv

install: .venv/installed

.venv/installed: requirements-dev.txt $(P)/env_setup/requirements.txt $(P)/env_setup/requirements-data.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet -r requirements-dev.txt -r "$(P)/env_setup/requirements.txt" \
		-r "$(P)/env_setup/requirements-data.txt"
	touch $@
