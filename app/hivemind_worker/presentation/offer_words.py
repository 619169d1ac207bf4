"""What the pool is offered and why, in one sentence; the same for window, page, command line and API."""

from __future__ import annotations

from dataclasses import asdict

from hivemind_worker.model.capacity import Offer, OfferReason
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.gpu import gpu_words


def offer_words(offer: Offer) -> str:
    """The offer of processor and its reason."""
    given = {"offered": f"{offer.offered.cpu:.0f}", "lent": f"{offer.lent.cpu:.0f}"}
    measured = {"core": f"{offer.one_core or 0:.0f}"}
    used = {"cpu": f"{offer.cpu_percent or 0:.0f}", "memory": f"{offer.memory_percent or 0:.0f}",
            "hours": offer.hours}  # fmt: skip
    match offer.reason:
        case OfferReason.UNMEASURED:
            return _(
                "The pool is offered all that you lend ({lent}): this computer's score is measured at a quiet"
                " moment.", **given,
            )  # fmt: skip
        case OfferReason.WHOLE:
            return _(
                "The pool is offered all that you lend ({lent}): a core here scores {core}, where 100 is the"
                " reference; more would go over your limits.", **given, **measured,
            )  # fmt: skip
        case OfferReason.RAISED:
            return _(
                "The pool is offered {offered} of {lent}: a core here scores {core}, and 10 % more because in"
                " the last {hours} h processor ({cpu} %) and memory ({memory} %) were used under 70 %.",
                **given, **measured, **used,
            )  # fmt: skip
        case OfferReason.BUSY:
            return _(
                "The pool is offered {offered} of {lent}: a core here scores {core}; not more, as in the last"
                " {hours} h processor ({cpu} %) or memory ({memory} %) was used at 70 % or above.",
                **given, **measured, **used,
            )  # fmt: skip
        case OfferReason.NO_HISTORY:
            return _(
                "The pool is offered {offered} of {lent}: a core here scores {core}; more once an hour of use"
                " is known.", **given, **measured,
            )  # fmt: skip


def card_offer_words(offer: Offer) -> str:
    """What the pool is offered of graphics cards, or why none."""
    working = [card for card in offer.cards if card.trouble is None]
    if offer.offered.gpu:
        names = ", ".join(card.name for card in working)
        return _("Graphics card: score {score} ({names}).", score=f"{offer.offered.gpu:.0f}", names=names)
    if not working:
        return gpu_words(offer.cards)
    if offer.sandbox == "docker":
        return _("Graphics card: score 0, as this Docker has no NVIDIA runtime to give it to tasks.")
    return _("Graphics card: score 0, as only tasks in Docker can use one.")


def offer_report(offer: Offer) -> dict[str, object]:
    """The offer in the API."""
    return {
        "offered": asdict(offer.offered), "reason": offer.reason.value, "one_core_score": offer.one_core,
        "cpu_percent": offer.cpu_percent, "memory_percent": offer.memory_percent, "hours": offer.hours,
        "text": offer_words(offer), "gpu_text": card_offer_words(offer),
    }  # fmt: skip
