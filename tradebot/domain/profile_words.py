"""What is said of a profile's files that are not what is in force? Asked by the console and by `tradebot status`."""

from __future__ import annotations

from tradebot.domain.views import ProfileView


def files_words(profile: ProfileView) -> str:
    """Return it in a few words, "" where they are in force, or wait for a confirmation, which is said elsewhere."""
    if not profile.pinned:
        return ""
    match profile.last_reload.outcome if profile.last_reload is not None else "":
        case "rejected":
            return "the files have faults and are not in force"
        case "refused":
            return "the files hold a refused edit, which is not in force"
    if profile.cause == "automatic":
        return "the files hold what was rolled back"
    return "pinned: the files say something else" if profile.by_rollback else "the files say something else"
