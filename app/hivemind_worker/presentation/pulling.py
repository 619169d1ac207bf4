"""How far the fetching of an image is, in words."""

from __future__ import annotations

from hivemind_worker.model.work import PullProgress
from hivemind_worker.presentation.amounts import duration_words, size_words
from hivemind_worker.presentation.catalogue import _


def pull_words(pull: PullProgress) -> str:
    """One sentence: which image, layers, bytes, and time left where that is known."""
    if not pull.layers:
        return _("The image {image} is being fetched.", image=pull.image)
    fields = {
        "image": pull.image, "done": pull.layers_done, "layers": pull.layers,
        "bytes": size_words(pull.done_bytes), "all": size_words(pull.total_bytes),
    }  # fmt: skip
    if pull.seconds_left is None:
        return _(
            "The image {image} is being fetched: {done} of {layers} layers, {bytes} of {all} or more.",
            **fields,
        )
    left = duration_words(pull.seconds_left)
    return _(
        "The image {image} is being fetched: {done} of {layers} layers, {bytes} of {all}, {left} left.",
        left=left, **fields,
    )  # fmt: skip
