"""Under which generation does a run begin? Written down before the engine hears of it; asked by wiring."""

from __future__ import annotations

from pathlib import Path

from tradebot.config.show import effective
from tradebot.domain.errors import CannotStart
from tradebot.domain.generation import Generation
from tradebot.ports import Log
from tradebot.runtime.displacing import EDITED, put_back, shelve, texts
from tradebot.runtime.generations import VERDICTS, Choice, falls_back_to, lasting, same_profile
from tradebot.runtime.outcomes import change_lines
from tradebot.runtime.returning import condemn
from tradebot.storage.history import History, HistoryDamaged

TOLD = 6
"""Changes that the record of a start names in its message; its field `changes` has all of them."""


def open_history(path: Path, busy_s: float, now_ms: int, log: Log) -> History:
    """Open the profile's history; a damaged one is set aside and reported, a new one begun. Raises StorageFailed.

    One that is removed while the bot runs is reported, too, and written anew.
    """

    def lost(story: str) -> None:
        log.emit("events", "ERROR", "PROFILE_HISTORY_LOST", story, path=str(path))

    try:
        return _sound(History.open(path, busy_s, lost))
    except HistoryDamaged as error:
        aside = History.reset(path, now_ms)
        if aside is None:
            raise
        text = f"the profile's history is set aside as {aside.name}, its generations are not known any more: {error}"
        log.emit("events", "ERROR", "STATE_SET_ASIDE", text, path=str(path), aside=str(aside), cause=str(error))
        return History.open(path, busy_s, lost)


def _sound(history: History) -> History:
    """Return `history` once everything that a run needs of it was read. Raises HistoryDamaged."""
    try:
        history.in_force()
        history.last_good()
        history.unfinished()
        history.switches()
        history.restoring()
        history.verdicts(VERDICTS)
        history.trial()
    except HistoryDamaged:
        history.close()
        raise
    return history


def begin(choice: Choice, history: History, above: int, now_ms: int, log: Log) -> Generation:
    """Return the generation that the run begins under, durable in `history`; its number is above `above`.

    Raises StorageFailed, and CannotStart where the history says something else by now than when it was chosen.
    """
    force = history.in_force()
    if (0 if force is None else force.number) != choice.seen:
        raise CannotStart(
            "the profile's history changed while the bot was starting (a toggle, a rollback): start again"
        )
    if force is None and above:
        text = f"the history of the profile is gone, though {above} generations were known: what waited, was refused or"
        text += " rolled back, and every override, is forgotten; the text on the disk is run"
        log.emit("events", "ERROR", "PROFILE_HISTORY_LOST", text, known=above)
    for left in history.unfinished():
        text = f"generation {left.number} was being applied when the last run ended; it never came into force by itself"
        history.fail(left.number, now_ms, "the process ended within its transaction")
        log.emit("events", "WARNING", "PROFILE_UNFINISHED", text, number=left.number)
    if choice.accepted:
        history.accept(choice.accepted, now_ms, "start")
    if choice.condemns and force is not None:
        condemn(history, force.number, now_ms, choice.condemns)
    goes_on = choice.continues
    if goes_on is not None and goes_on.number < above:
        goes_on = None  # the engine has heard of a later one, which never came into force whole
    generation = goes_on or _begun(choice, history, above, now_ms)
    if choice.restoring:
        _carry_through(history, generation, now_ms, log)
    else:
        _give_up_restoring(choice, history, log)
    history.prune(choice.loaded.profile.reload.keep_generations)
    _count_trial(choice, history, generation)
    kind = "goes on" if goes_on else "begins"
    text = f"generation {generation.number} {kind}: {choice.loaded.path}"
    loosens = [one.key for one in choice.changes if one.looser]
    said = [choice.note, f"loosens {', '.join(loosens)}" if loosens else ""]
    changed = [" ".join(line.split()) for line in change_lines(choice.changes, {})]
    log.emit(
        "events",
        "WARNING" if choice.note or loosens else "INFO",
        "PROFILE_IN_FORCE",
        " · ".join(part for part in (text, *said, *changed[:TOLD]) if part),
        number=generation.number,
        digest=generation.digest,
        changes=changed,
        overrides=[f"{one.feature} {'on' if one.on else 'off'} ({one.who})" for one in generation.switches],
        faults=[str(fault) for fault in choice.faults],
    )
    return generation


def _count_trial(choice: Choice, history: History, generation: Generation) -> None:
    """Count the starts that put a text on probation, until one ends by itself, is past it, or is accepted."""
    profile = choice.loaded.profile
    watched = profile.features.probation and profile.reload.probation_s and falls_back_to(history, generation)
    if choice.accepted or not watched:
        history.end_trial()
    if watched:
        history.tried(generation.digest)


def _begun(choice: Choice, history: History, above: int, now_ms: int) -> Generation:
    before = history.in_force()
    generation = Generation(
        number=history.next_number(above),
        at_ms=now_ms,
        cause=choice.cause,
        who="start",
        path=choice.loaded.path,
        digest=choice.loaded.digest,
        files=texts(choice.loaded),
        effective=effective(choice.loaded),
        changes=tuple(line.strip() for line in change_lines(choice.changes, {})),
        switches=choice.switches,
        previous=0 if before is None else before.number,
        reason=choice.note,
    )
    history.begin(generation)
    settle = choice.loaded.digest if choice.restoring else None
    history.commit(generation.number, now_ms, switches=lasting(choice.switches), settle=settle)
    return generation


def _carry_through(history: History, generation: Generation, now_ms: int, log: Log) -> None:
    """Write the files that an interrupted rollback had begun to write; else no start runs what stands there."""
    why = put_back(history, generation.files)
    if not why:
        log.emit("events", "INFO", "PROFILE_FILES_RESTORED", "the files of the interrupted rollback are written")
    else:
        log.emit("events", "WARNING", "PROFILE_FILES_RESTORED", f"the files are not restored: {why}")
        if why != EDITED:
            shelve(history, generation, now_ms)
    history.end_restore()


def _give_up_restoring(choice: Choice, history: History, log: Log) -> None:
    """Forget an interrupted rollback of this profile whose text is no valid profile any more."""
    mark = history.restoring()
    target = None if mark is None else history.generation(mark.number)
    if mark is None or (target is not None and not same_profile(target, choice.loaded.path)):
        return
    history.end_restore()
    text = f"an interrupted rollback, as generation {mark.number}, is given up: its files were saved again since,"
    text += " or its text is no valid profile any more"
    log.emit("events", "WARNING", "PROFILE_ROLLBACK_GIVEN_UP", text, number=mark.number)
