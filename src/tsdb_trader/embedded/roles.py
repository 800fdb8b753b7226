"""The roles of every server: who logs in, who is member of what, and with which settings.

What each may do to tables is in migrations/, what it may call at the end of each file in sql/.
"""

from __future__ import annotations

from dataclasses import dataclass, field

OWNER = "tsdb_trader"
SUPERUSER = "postgres"
READER = "tsdb_reader"
"""Reads every table and calls what only computes. No login: what readers have in common."""
WORKER_ANY = "tsdb_worker_any"
"""Beats, takes leases, raises alerts. No login: what workers have in common."""
GROUPS = (READER, WORKER_ANY)
WORKERS = {
    "gateway": "tsdb_worker_gateway",
    "signals": "tsdb_worker_signals",
    "risk": "tsdb_worker_risk",
    "scheduler": "tsdb_worker_scheduler",
    "replay": "tsdb_worker_replay",
    "feeds": "tsdb_worker_feeds",
    "venue": "tsdb_venue",
}
"""The role of each kind of worker."""
_OWN = tuple(role for role in WORKERS.values() if role != "tsdb_venue")
PEOPLE = ("tsdb_trader_role", "tsdb_risk", "tsdb_ops")
"""Whose personal logins act; every call of theirs is audited."""
PERSONAL = (*PEOPLE, "tsdb_quant", "tsdb_readonly")
"""What a personal login can be a member of."""
UMBRELLAS = ("tsdb_worker", "tsdb_operator")
"""Several roles in one: all workers, and all that people do."""
ROLES = (OWNER, *_OWN, "tsdb_venue", "tsdb_quant", "tsdb_readonly", "tsdb_operator",
         "tsdb_worker", *PEOPLE)  # fmt: skip
OPTIONAL = ("tsdb_worker", *PEOPLE)
"""Roles that need no login of their own: without a password they have none."""
MEMBERSHIPS = {
    **dict.fromkeys(_OWN, (WORKER_ANY,)),
    **dict.fromkeys(PERSONAL, (READER,)),
    "tsdb_worker": _OWN,
    "tsdb_operator": PEOPLE,
}
DATABASE_RIGHTS = {
    "connect": (READER, WORKER_ANY, "tsdb_venue"),
    "temporary": ("tsdb_quant",),
}


@dataclass(frozen=True)
class RoleSettings:
    """What a login starts with."""

    connections: int = -1
    parameters: dict[str, str] = field(default_factory=dict)


_PERSON = RoleSettings(
    parameters={"statement_timeout": "5min", "idle_in_transaction_session_timeout": "1min"}
)
"""Whoever submits and goes home with the transaction open would keep everybody else waiting."""
SETTINGS = {
    **dict.fromkeys((*PEOPLE, "tsdb_operator"), _PERSON),
    "tsdb_quant": RoleSettings(
        20, {"statement_timeout": "30min", "idle_in_transaction_session_timeout": "10min"}
    ),
    "tsdb_readonly": RoleSettings(
        20,
        {
            "default_transaction_read_only": "on",
            "statement_timeout": "1min",
            "idle_in_transaction_session_timeout": "1min",
        },
    ),
}
