"""Check a router before it serves: it must answer every kind of question with finite numbers."""

from math import isfinite

from router_model.decision import Decision
from router_model.errors import ArtifactError
from router_model.features import PromptLike
from router_model.router import Router
from router_model.screening.screening import NoCandidateError

PROMPTS: tuple[PromptLike, ...] = (
    "?",
    "What is 12 times 12? Answer with a number.",
    "def parse(line):\n    return line.split()\n" * 500,
    "请用一句话解释量子纠缠。 اكتب قصيدة قصيرة عن البحر",
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Fix the parser."},
        {"role": "assistant", "content": "Done."},
        {"role": "user", "content": "commit it"},
    ],
    [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is in this picture?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            ],
        }
    ],
)
"""One sign, short, long, in other scripts, a follow-up, and with an image."""


def check_router(router: Router) -> None:
    """Route a few prompts.

    Raises
    ------
    ArtifactError
        If the router has no models, a decision fails, or a prediction is not a finite number.
    """
    if not router.models:
        raise ArtifactError("the router has no models; train it again")
    for prompt in PROMPTS:
        try:
            decision = router.route(prompt)
        except NoCandidateError:  # no model takes images, say: an answer, too
            continue
        except Exception as exc:
            raise ArtifactError(f"the router fails to decide ({type(exc).__name__}: {exc}); train it again") from exc
        if not has_numbers(decision):
            raise ArtifactError("the router predicts numbers that are not finite; train it again")


def has_numbers(decision: Decision) -> bool:
    """Tell whether all that was predicted of success and cost is a finite number."""
    # One look at the sum is enough: a NaN or an infinity in any step makes the sum not finite.
    return isfinite(sum(decision.plan.column("p_success")) + sum(decision.plan.column("expected_cost_usd")))
