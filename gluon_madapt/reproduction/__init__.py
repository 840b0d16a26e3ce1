"""Reproduces the paper's tables: plans what each row needs, runs it, and sets the results beside the paper's.

Open ``rows.py`` first: it names the rows of each table. ``table.py`` runs a table from ``plan.py``, ``reuse.py`` and
``jobs.py``; ``results.py`` holds what came out, ``layout.py`` and ``writing.py`` show it.
"""
