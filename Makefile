# What tools/run.py does, for those who have make. Another Python: make book PYTHON=python3.13
# The edition for students, its solutions in a folder of their own: make book SOLUTIONS=apart

PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help book pdf epub slides cheatsheet figures test test-frameworks check lint bench exhaustive notebooks requirements clean
.NOTPARALLEL:  # two targets must not make .venv at the same time

help:
	@$(PYTHON) tools/run.py --help

book pdf epub slides cheatsheet figures test test-frameworks check lint bench exhaustive notebooks requirements clean:
	@$(PYTHON) tools/run.py $@
