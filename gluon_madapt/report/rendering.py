"""Fills the templates of pages, which need nothing beside them, neither a network nor a script."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gluon_madapt.names import printable

_TEMPLATES = Path(__file__).with_name("templates")


def rendered(template: str, **values: Any) -> str:
    """Return a page: a template of this package, filled with values, which are escaped."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - of the package
    return environment.get_template(template).render(style=style, **values)


def _shown(value: Any) -> Any:
    """Write out what no page can show of a text that comes from data; what is marked up already has lines."""
    if isinstance(value, Markup):
        return Markup(printable(value, "\n\t"))  # noqa: S704 - as it was
    return printable(value) if isinstance(value, str) else value
