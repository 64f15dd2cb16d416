PYTHON ?= python3
TORCH ?= auto
P := {{cookiecutter.project_slug}}
DEMO := build/digits-study
VENV := $(CURDIR)/.venv

.PHONY: help demo test chaos pictures lint install clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1: \2/p' Makefile

demo: install ## a project from this template, with a real sweep and its report
	@echo "Now a project is made, and 15 small runs of it are trained and reported: about a minute on two cores."
	rm -rf $(DEMO)
	.venv/bin/python -m cookiecutter . --no-input --default-config --output-dir build project_name="Digits study"
	ln -s "$(VENV)" $(DEMO)/.venv
	cd $(DEMO) && ./run_all_tasks.sh
	@echo "The report: $(CURDIR)/$(DEMO)/data/reports/sweep_models/report.pdf"

# The tests in tests/project import the project into their process, and torch with it: the others, which start it as a
# user does, keep theirs clean.
test: install ## everything that can be tested here
	.venv/bin/python -m pytest --numprocesses auto --dist worksteal tests/project
	.venv/bin/python -m pytest --numprocesses auto --ignore tests/project tests

chaos: install ## a sweep of 30 runs under kills, full disks and damaged files must equal an undisturbed one, bit for bit
	.venv/bin/python tests/chaos.py

pictures: demo ## makes the pictures of README.md again; needs chromium and chromedriver
	.venv/bin/python docs/make_pictures.py

lint: install ## style and types, of the template and of the project
	.venv/bin/python -m ruff check --no-cache
	.venv/bin/python -m ruff format --check --no-cache
	.venv/bin/python -m pyright --pythonpath .venv/bin/python

clean: ## removes what these commands have made
	rm -rf build .venv

install: .venv/installed ## [TORCH=cpu|cuda] all packages, into .venv; the other commands do it first

# Its own, and what the project needs for some data, searches and trackers.
R := $(P)/env_setup/requirements
REQUIREMENTS := requirements-dev.txt $(R).txt $(R)-data.txt $(R)-search.txt $(R)-wandb.txt $(R)-mlflow.txt

# auto: torch for CPU where there is no NVIDIA driver.
.venv/installed: $(REQUIREMENTS)
	@$(or $(wildcard .venv/bin/python),$(PYTHON)) "$(P)/env_setup/install.py" "$(TORCH)" $(foreach f,$(REQUIREMENTS),"$(f)")
	@touch $@

ifeq ($(origin TORCH),command line)
.PHONY: .venv/installed
endif
