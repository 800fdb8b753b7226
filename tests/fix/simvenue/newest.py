"""The dictionary of FIX 5.0 SP2, of the messages that a venue and its participants exchange.

The engine takes seconds to read the whole of it, in every process. What is left out is messages:
those that stay are defined as they were, down to the last component.
"""

from __future__ import annotations

import functools
import sysconfig
from pathlib import Path
from xml.etree import ElementTree

NAME = "FIX50SP2.xml"
# Both ways: orders and requests, reports and refusals, market data.
_MESSAGES = (
    {"D", "F", "G", "H", "q", "AD", "AF"}
    | {"8", "9", "j", "r", "AE", "AQ"}
    | {"V", "W", "X", "Y", "x", "y", "e", "f"}
)


def write(folder: Path) -> Path:
    """Write the short dictionary into a folder, and return its path."""
    path = folder / NAME
    path.write_bytes(_short())
    return path


@functools.cache
def _short() -> bytes:
    whole = Path(sysconfig.get_path("data")) / "share" / "quickfix" / NAME
    root = ElementTree.fromstring(whole.read_bytes())  # noqa: S314 - it came with the engine
    messages, components = root.find("messages"), root.find("components")
    assert messages is not None
    assert components is not None
    for message in list(messages):
        if message.get("msgtype") not in _MESSAGES:
            messages.remove(message)
    assert len(messages) == len(_MESSAGES)
    defined = {str(component.get("name")): component for component in components}
    used: set[str] = set()
    found = [messages]
    while found:
        names = {str(part.get("name")) for part in found.pop().iter("component")}
        found += [defined[name] for name in names - used]
        used |= names
    for name in defined.keys() - used:
        components.remove(defined[name])
    return ElementTree.tostring(root)
