"""How objects show themselves."""

from collections.abc import Mapping
from html import escape
from typing import Any


def shown(thing: object, facts: Mapping[str, Any], *, html: bool = False, text: str = "") -> str:
    """Facts about an object, as text or for a notebook."""
    title = f"terravec.{type(thing).__name__}"
    facts = {name: str(value) for name, value in facts.items() if value not in (None, "", [])}
    if not html:
        wide = max(map(len, facts), default=0)
        return "\n".join([f"<{title}>", *(f"  {name:<{wide}}  {value}" for name, value in facts.items())])
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(value)}</td></tr>"
        for name, value in facts.items()
    )
    below = f"<pre>{escape(text)}</pre>" if text else ""
    return f"<div><b>{escape(title)}</b><table>{rows}</table>{below}</div>"
