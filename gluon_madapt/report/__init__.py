"""Shows what a run left as one HTML page, with every figure as a file beside it.

Open ``page.py`` first: it reads a run folder or tables and writes the page. ``facts.py`` and ``stored.py`` read,
``figures.py``, ``charts.py`` and ``painting.py`` draw, ``templates/`` lays the page out.
"""
