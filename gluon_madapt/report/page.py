"""The page: one HTML file that needs nothing beside it, neither a network nor a script."""

from pathlib import Path
from typing import Any, Sequence

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gluon_madapt.names import printable
from gluon_madapt.report.run_section import RunSection
from gluon_madapt.report.versions import versions_here
from gluon_madapt.reproduction.layout import Layout

_TEMPLATES = Path(__file__).with_name("templates")


def page(title: str, tables: Sequence[Layout], runs: Sequence[RunSection], problems: Sequence[str], album: str) -> str:
    """Return the page; every text that comes from data is escaped.

    Parameters
    ----------
    title : str
        Its heading.
    tables : sequence of Layout
        The tables of the paper that were reproduced.
    runs : sequence of RunSection
        The experiments.
    problems : sequence of str
        What could not be read, a line each.
    album : str
        Where the pictures lie as files, to be told.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - of the package
    return environment.get_template("page.html").render(
        title=title,
        tables=tables,
        runs=runs,
        problems=problems,
        album=album,
        versions=versions_here(),
        style=style,
    )


def _shown(value: Any) -> Any:
    """Write out what no page can show of a text that comes from data; what is marked up already has lines."""
    if isinstance(value, Markup):
        return Markup(printable(value, "\n\t"))  # noqa: S704 - as it was
    return printable(value) if isinstance(value, str) else value
