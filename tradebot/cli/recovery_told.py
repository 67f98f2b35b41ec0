"""How is it said what a start would make of a home, and what a rebuild puts back? Asked by `tradebot recover`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradebot.cli.words import many, show
from tradebot.domain.numbers import plain

if TYPE_CHECKING:
    from tradebot.config.profile import Profile
    from tradebot.runtime.foretelling import Outlook
    from tradebot.runtime.rebuilding import Proof
    from tradebot.runtime.recovering import Compared

SCHEMA: Final = 1
"""Version of what `--json` prints; keys are added within it, never changed."""

_SHOWN: Final = 20


def show_outlook(profile: Profile, folder: Path, found: Outlook, place: str) -> None:
    """Print what a start would do; `place` is who was asked, "" for nobody."""
    rehearsed = found.rehearsed
    plan = rehearsed.plan
    show(f"{folder} · {rehearsed.restored if found.proof is None else found.proof.restored}")
    show(*(f"DAMAGED  {words}" for words in rehearsed.damage or [found.met] if words))
    show(*(f"  {line}" for line in _damage_lines(profile, found)))
    show(f"{many(len(plan.orders), 'order')} to ask the venue for" + _names(plan.orders))
    if plan.cancels:
        show(f"  {len(plan.cancels)} of them cancelled where still open: their wait is over")
    show(f"{many(plan.ends, 'intent')} without an order ended")
    show(f"{many(len(rehearsed.protected), 'position')} held")
    for one in rehearsed.protected:
        show(f"  {one.symbol}  {one.amount:f} bought at {one.entry_price:.8g}: {one.levels}")
    if found.refused:
        show("nothing is compared with the venue: what was lost is not known")
    elif rehearsed.compared is None:
        show("the venue was not asked")
    else:
        show("", f"compared with {place}, which was only asked:", hang=0)
        show(*(f"  {line}" for line in _compared(rehearsed.compared)))


def _damage_lines(profile: Profile, found: Outlook) -> list[str]:
    """Say what a start makes of the damage."""
    from tradebot.runtime.rebuilding import settle_s

    first = "`tradebot recover --dry-run --rebuild` shows it first"
    if not found.met:
        return ["a start needs none of that, and goes on"] if found.rehearsed.damage else []
    if found.refused:
        return [f"a start is refused: {found.refused}"]
    mends = "`tradebot recover --rebuild` puts back"
    if found.proof is None and found.by_hand:
        return [f"a start is refused ({found.by_hand}); {mends} what can be proven, {first}"]
    if found.proof is None:
        return [f"a start writes it anew where what was lost is proven, and is refused where it is not; {first}"]
    back = f"{many(found.proof.orders, 'order')} and {many(found.proof.fills, 'fill')} {_source(profile)} tells of"
    if found.by_hand:
        return [f"a start is refused ({found.by_hand}); {mends} {back}, {first}"]
    wait = f", after a wait of {settle_s(profile):g} s for what was under way" if profile.venue.kind == "ccxt" else ""
    return [f"a start writes the journal anew{wait}, and puts back {back}; the plan below is what it does then"]


def proof_lines(profile: Profile, proof: Proof) -> list[str]:
    """Say what is put back from where, and what is booked by an operator's word alone."""
    counts = f"{many(proof.orders, 'order')}, {many(proof.fills, 'fill')}"
    return [
        *(f"damaged: {words}" for words in proof.sound.damage),
        proof.restored,
        f"put back from the venue's history: {counts}",
        *(
            f"NOT PROVEN: {plain(-one.change)} {one.asset} that own orders bought are not there any more; booked as "
            f"gone by hand, at {plain(one.price)} {profile.market.quote} each, which is what they cost"
            for one in proof.gone
        ),
    ]


def _source(profile: Profile) -> str:
    return "the paper account" if profile.venue.kind == "paper" else profile.exchange.name


def _compared(found: Compared) -> list[str]:
    from tradebot.domain.facts import OrderDone, OrderFilled, OrderRejected, RecoveryCompleted
    from tradebot.telemetry.recovery_words import away_words

    lines = []
    for fact in found.facts:
        if isinstance(fact, OrderFilled):
            lines.append(f"fill to book: {fact.client_id} {fact.side} {fact.amount:f} {fact.symbol} at {fact.price:f}")
        elif isinstance(fact, OrderDone | OrderRejected):
            how = fact.outcome if isinstance(fact, OrderDone) else "rejected"
            lines.append(f"order over: {fact.client_id} {fact.symbol} {how}")
        elif isinstance(fact, RecoveryCompleted):
            lines.append(f"{many(fact.orders_open, 'order')} still open; {away_words(fact)}")
    lines += [f"would be cancelled: {client_id}" for client_id in found.cancels]
    lines += [f"not settled yet: {many(count, 'order')} of {name}" for name, count in found.unsettled.items()]
    lines += [f"OPEN THERE AND IN NO JOURNAL: {client_id}" for client_id in found.strangers]
    lines += [f"differs: {words}" for words in found.drift]
    return lines


def document(profile: Profile, folder: Path, found: Outlook, venue: str) -> dict[str, Any]:
    """Return the same for machines; `venue` is who was asked, "" for nobody."""
    import msgspec

    rehearsed, proof = found.rehearsed, found.proof
    compared = rehearsed.compared
    return {
        "schema": SCHEMA,
        "home": str(folder),
        "venue": venue if compared is not None else None,
        "restored": rehearsed.restored if proof is None else proof.restored,
        "damage": list(rehearsed.damage),
        "start": {
            "met": found.met,
            "rebuilds": proof is not None and not found.by_hand,
            "by_hand": found.by_hand if found.met else "",
            "refused": found.refused,
            "orders": 0 if proof is None else proof.orders,
            "fills": 0 if proof is None else proof.fills,
        },
        "plan": msgspec.to_builtins(rehearsed.plan),
        "protected": msgspec.to_builtins(rehearsed.protected),
        "compared": None
        if compared is None
        else {
            "facts": [{"type": fact.event_type, "fields": msgspec.to_builtins(fact)} for fact in compared.facts],
            "cancels": list(compared.cancels),
            "unsettled": compared.unsettled,
            "strangers": list(compared.strangers),
            "drift": list(compared.drift),
        },
        "quote": profile.market.quote,
    }


def _names(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f": {', '.join(names[:_SHOWN])}{more}"
