"""What the window says about the account at the active pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hivemind_worker.model.pools import Balance
from hivemind_worker.model.snapshot import LinkState, Snapshot
from hivemind_worker.presentation.amounts import duration_words
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.health import is_loopback
from hivemind_worker.presentation.ledger import amount, balance_at_end, days
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.page_facts import pool_look
from hivemind_worker.presentation.page_words import ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountWords:
    """The login: how it stands, and what is known of it."""

    look: Look
    detail: str
    facts: tuple[tuple[str, str], ...]
    needs_sign_in: bool


def account_title(snapshot: Snapshot) -> str:
    """Who, at which pool."""
    pool = snapshot.pool
    if not pool.user or pool.link is LinkState.NOT_LOGGED_IN:
        return _("Not signed in at {pool}", pool=pool.address)
    return _("{user} at {pool}", user=pool.user, pool=pool.address)


def account_words(snapshot: Snapshot) -> AccountWords:
    """The login in words."""
    pool = snapshot.pool
    out = pool.link in (LinkState.NOT_LOGGED_IN, LinkState.LOGIN_REFUSED)
    if out and pool.problem is not None:
        detail = " ".join(words(pool.problem))
    elif out:
        detail = _("Sign in to be sent work and to be paid for it.")
    else:
        detail = _("Signed in. Your login is kept and renews by itself.")
    return AccountWords(
        look=Look(tone="warning", icon="account", word=_("signed out")) if out
        else Look(tone="working", icon="account", word=pool_look(snapshot).word),
        detail=detail, needs_sign_in=out,
        facts=(
            (_("Balance"), _balance(snapshot)),
            (_("Sent over"), _way(snapshot)),
            (_("This computer is paid as"), f"{pool.user}, {snapshot.node_id}" if pool.user else ABSENT),
        ),
    )  # fmt: skip


def _balance(snapshot: Snapshot) -> str:
    pool = snapshot.pool
    if pool.balance is None:
        return ABSENT
    if pool.last_heard_s is None:
        return _("{amount} CPT", amount=f"{pool.balance:,}")
    ago = duration_words(max(0.0, snapshot.at_s - pool.last_heard_s))
    return _("{amount} CPT, heard {time} ago", amount=f"{pool.balance:,}", time=ago)


def _way(snapshot: Snapshot) -> str:
    """How the login travels to the pool."""
    if is_loopback(snapshot.pool.address):
        return _("this computer only, never over a network")
    if snapshot.grpc_address and not is_loopback(snapshot.grpc_address):
        return _("the network of {address}", address=snapshot.grpc_address)
    return _("no VPN address is known")


def balance_rows(balances: Sequence[Balance], now_s: float, count: int) -> tuple[tuple[str, ...], ...]:
    """Day, earned, spent, balance at its end; days before the first known balance are left out."""
    rows = []
    for each in days([], balances, now_s, count):
        at_end = balance_at_end(balances, each.number)
        if at_end is None:
            break
        earned = f"+{each.earned:,}" if each.earned else ABSENT
        spent = f"−{each.spent:,}" if each.spent else ABSENT
        rows.append((each.title, earned, spent, amount(at_end)))
    return tuple(rows)
