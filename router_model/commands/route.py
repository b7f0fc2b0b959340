"""The command ``router-model route``: decide which model to call for one prompt."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from router_model.help_pages import Command
from router_model.terminal import figures_table, plain_console, print_table
from router_model.wording import percent, usd

if TYPE_CHECKING:
    from router_model.certificate import Certificate
    from router_model.decision import Decision
    from router_model.goal import TargetSuccess
    from router_model.plan import PlanStep

_SHOWN = 10  # candidates shown in the table; --json has all


@click.command(
    "route",
    cls=Command,
    examples="""
    router-model route my-router "How long is the journey?"
    router-model route my-router "Is 2027 prime?" --explain
    router-model route my-router - --json < chat-body.json
    """,
    sections={
        "Rule": "--quality-bar",
        "Which models may be chosen": "--allow",
        "Router and prompt": "--catalog",
        "Output": "--explain",
    },
)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.argument("prompt")
@click.option("--quality-bar", type=float, help="Quality an answer needs to succeed [default: the router's].")
@click.option("--target-success", type=float, help="Success rate wanted; see 'inspect' for certified ones.")
@click.option("--success-value-usd", type=float, help="What a success is worth, in USD [default: the router's].")
@click.option("--quality-value-usd", type=float, help="What quality 1 is worth over quality 0, in USD, instead.")
@click.option(
    "--cost-quality-tradeoff", type=float, help="0 (likeliest) to 10 (cheapest); 7 is the router's own value."
)
@click.option("--allow", multiple=True, metavar="GLOB", help="Only models like this; repeatable.")
@click.option("--deny", multiple=True, metavar="GLOB", help="Exclude models like this; repeatable.")
@click.option("--provider", "providers", multiple=True, metavar="NAME", help="Only this provider's models; repeatable.")
@click.option(
    "--ignore-provider", "ignore_providers", multiple=True, metavar="NAME", help="Exclude this provider's models."
)
@click.option("--max-cost-usd", type=float, help="Largest expected cost of the call.")
@click.option("--max-price-input", "max_usd_per_mtok_input", type=float, help="Largest price, USD per Mtok of input.")
@click.option(
    "--max-price-output", "max_usd_per_mtok_output", type=float, help="Largest price, USD per Mtok of output."
)
@click.option("--max-price-request", "max_usd_per_request", type=float, help="Largest fee for a call, in USD.")
@click.option("--max-latency-s", type=float, help="Largest expected latency; a model of unknown latency stays.")
@click.option("--max-output-tokens", type=int, help="The most the model may write; caps the expected cost.")
@click.option("--catalog", type=click.Path(path_type=Path), help="Prices and capabilities instead of the router's.")
@click.option("--encoder", help="The encoder, if the router was trained with your own (hub id or folder).")
@click.option("--text", "plain", is_flag=True, help="With -: read text, even if it looks like a chat body.")
@click.option("--explain", is_flag=True, help="Say why: similar logged prompts, contributions, what would change it.")
@click.option("--json", "as_json", is_flag=True, help="Print the decision as JSON.")
def command(
    artifact: Path,
    prompt: str,
    *,
    catalog: Path | None,
    encoder: str | None,
    plain: bool,
    explain: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Decide which model to call for PROMPT with the router in ARTIFACT.

    PROMPT is text, or - to read standard input: text, a JSON chat body with
    "messages", or a JSON list of messages. Input that begins like one of
    these and is not valid JSON is refused; --text reads it as text.
    """
    from router_model.commands.prompt_input import read_prompt
    from router_model.features import load_encoder
    from router_model.goal import KNOBS, TargetSuccess, read_goal
    from router_model.router import Router
    from router_model.screening.constraints import Constraints

    goal = read_goal(**{name: options.pop(name) for name in KNOBS})
    router = Router.load(artifact, catalog=catalog, encoder=None if encoder is None else load_encoder(encoder))
    asked, constraints = read_prompt(prompt, plain=plain), Constraints(**options)
    (decision,) = router.decide([asked], goal, constraints=constraints, explain=explain)
    if as_json:
        click.echo(json.dumps(decision.as_dict(), ensure_ascii=False))
    else:
        certificates = router.certificates
        said = about_target(decision, goal, certificates) if isinstance(goal, TargetSuccess) else ""
        _show(decision, said)


def _show(decision: "Decision", about_target: str) -> None:
    from rich.markup import escape

    console = plain_console()
    console.print(f"[bold green]{escape(decision.model)}[/]  ({decision.reason.value.replace('_', ' ')})")
    with_latency = any(step.expected_latency_s is not None for step in decision.plan)
    table = figures_table("plan", "P(success)", "90 % interval", "cost", "tokens", *["seconds"] * with_latency)
    for step in decision.plan[:_SHOWN]:
        table.add_row(escape(step.model) + " (announced)" * step.announced, *_cells(step, with_latency=with_latency))
    print_table(console, table)
    if len(decision.plan) > _SHOWN:
        console.print(f"… and {len(decision.plan) - _SHOWN} more (--json lists all)", style="dim")
    for exclusion in decision.excluded:
        said = f"left out: {exclusion.model} ({exclusion.reason}: {exclusion.detail})"
        console.print(escape(said), style="dim", soft_wrap=True)
    if about_target:
        console.print(escape(about_target), style="dim")
    known = (
        "no prompt of yours was learned from: models differ by the catalog alone"
        if decision.reason.value == "starter"
        else f"nearest logged prompt: similarity {decision.familiarity:.2f};\n"
        f"differences between models count by {percent(decision.trust)}, less the less familiar a prompt is"
    )
    console.print(f"success: quality >= {decision.quality_bar:g}; {known}", style="dim", soft_wrap=True)
    if decision.explanation is not None:
        from router_model.commands.explanation import show_explanation

        show_explanation(decision, decision.explanation, console)


def _cells(step: "PlanStep", *, with_latency: bool) -> list[str]:
    """Return the numbers of one candidate as text."""
    interval = "" if step.p_interval is None else "{:.2f} to {:.2f}".format(*step.p_interval)
    latency = "" if step.expected_latency_s is None else f"{step.expected_latency_s:.2f}"
    cells = [f"{step.p_success:.3f}", interval, usd(step.expected_cost_usd), f"{step.expected_output_tokens:.0f}"]
    return [*cells, *[latency] * with_latency]


def about_target(decision: "Decision", goal: "TargetSuccess", certificates: "Sequence[Certificate]") -> str:
    """Say whether the target is promised for this decision, and what was done otherwise.

    Parameters
    ----------
    decision : made for `goal`
    certificates : the router's
    """
    if decision.certificate is not None:
        return decision.certificate.in_words()
    found = _certificate(goal.target_success, goal, decision, certificates)
    if found is None:
        return _as_threshold(decision, goal, certificates)
    if found.certified:
        return (
            f"nothing is promised: {found.promise} is certified, but not for requests like this. Their "
            "constraints rule out a model, or their prices differ. The certified rule decided nevertheless"
        )
    left_out = any(exclusion.model == found.safest_model for exclusion in decision.excluded)
    instead = "; it is left out here, so the likeliest of the others to succeed was chosen" if left_out else ""
    return f"{found.in_words()}{instead}"


def _certificate(
    target: float, goal: "TargetSuccess", decision: "Decision", certificates: "Sequence[Certificate]"
) -> "Certificate | None":
    from router_model.certificate import find_certificate

    return find_certificate(certificates, target, goal.quality_bar, default_bar=decision.quality_bar)


def _as_threshold(decision: "Decision", goal: "TargetSuccess", certificates: "Sequence[Certificate]") -> str:
    """Say that a target without a certificate becomes a threshold for this single prompt."""
    from router_model.decision import Reason

    bar, target = decision.quality_bar, f"{goal.target_success:g}"
    found = (_certificate(each.target_success, goal, decision, certificates) for each in certificates)
    known = ", ".join(dict.fromkeys(one.promise for one in found if one is not None and one.certified))
    done = {
        Reason.CHEAPEST_ABOVE_BAR: f": this is the cheapest model with P(success) >= {target}",
        Reason.NONE_ABOVE_BAR: f": no model's P(success) reaches {target}, so this is the likeliest to succeed",
    }.get(decision.reason, "")
    certified = f"certified: {known}" if known else "nothing is certified"
    return (
        f"nothing is promised: success >= {target} has no certificate at quality bar {bar:g} ({certified}; see "
        f"'router-model certify'). So {target} is the least P(success) for this prompt alone{done}"
    )
