"""Every alert that can be raised has an entry in the runbook, and every entry an alert."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_alert_has_a_runbook_entry():
    entries = set(re.findall(r"^### (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.M))
    raised = set()
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "sql").rglob("*.sql")]:
        text = path.read_text()
        # raise_alert(conn, "kind", in Python, raise_alert('kind', in SQL, and the gateway's
        # helper that puts the connection first.
        raised |= set(re.findall(r"""raise_alert\(\s*(?:conn, )?["'](\w+)["']""", text))
        raised |= set(re.findall(r'_alert\(conn, "(\w+)"', text))
        if path.name == "watch_orders.sql":
            raised |= set(re.findall(r"a\.kind in \('(\w+)', '(\w+)'\)", text)[0])
    assert raised == entries
