"""The `Router`: it takes prompts and decides which model to call for each."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from router_model.announced.announced import AnnouncedModels
from router_model.candidates import Candidates, graded_models, read_announced
from router_model.catalog import Catalog
from router_model.certificate import Certificate, find_certificate
from router_model.decision import Decision, Exclusion, Reason
from router_model.errors import RequestError
from router_model.explanation.explain import explain_decisions
from router_model.features import Encoder, Prompt, PromptLike
from router_model.features.featuriser import PromptFeatures, featurise
from router_model.goal import (
    OWN_TRADEOFF,
    Goal,
    OwnTradeoff,
    QualityValue,
    SuccessValue,
    TargetSuccess,
    Tradeoff,
    read_goal,
)
from router_model.levels import Levels
from router_model.plan import Plan
from router_model.policy import Rule, put_first
from router_model.prediction.compiled.choice import compiled
from router_model.prediction_table import PredictionTable
from router_model.prompt_cache import WarmCache, saving_usd, with_warm_caches
from router_model.saved.artifact import Artifact, load_artifact
from router_model.screening.constraints import Constraints
from router_model.screening.screening import Screening, screen
from router_model.summary import Summarised, Summary
from router_model.tradeoff import DEFAULT_POSITION

_UNCONSTRAINED = Constraints()
_CHUNK = 4096  # prompts predicted at once; bounds memory for long lists


@dataclass(frozen=True, slots=True, repr=False)
class Router(Summarised):
    """Decides which model to call. Immutable, so any number of threads may share one.

    Attributes
    ----------
    artifact, encoder, catalog
        The catalog has the cards of the candidates, and no others.
    announced : AnnouncedModels or None
        Candidates that nobody graded.
    levels : Levels or None
        Shifts of models' levels since the training.

    Examples
    --------
    ::

        router = Router.load("my-router")
        decision = router.route("Prove that 17 is prime.", quality_bar=0.7)
        decision.model, decision.plan[0].p_success
    """

    artifact: Artifact
    encoder: Encoder
    catalog: Catalog
    levels: Levels | None = None
    announced: AnnouncedModels | None = field(default=None, compare=False)
    _candidates: Candidates = field(init=False, repr=False, compare=False)

    def summary(self) -> Summary:
        """Return the models and their prices."""
        head = f"Router of {len(self.models):,} models, {self.artifact.content_hash[:19]}"
        return self.catalog.summary()._replace(head=head)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_candidates", Candidates.of(self.artifact, self.catalog, self.announced))

    @classmethod
    def load(
        cls, path: str | Path, *, catalog: str | Path | Catalog | None = None, encoder: Encoder | None = None
    ) -> "Router":
        """Load a trained router from its folder.

        Parameters
        ----------
        path : the folder that `router-model train` wrote, or one of published routers: the one that is served is loaded
        catalog : replaces prices, capabilities and announced models that were saved with it; nothing is retrained
        encoder : the encoder it was trained with; needed where that is neither ``static`` nor ``minilm``

        Raises
        ------
        ArtifactError
            If the folder is damaged, foreign, too new, or was trained with an encoder that differs.
        CatalogError
            If `catalog` lacks one of the router's graded models, or announces one like a model that is not known.
        """
        artifact = load_artifact(path)
        if encoder is None:
            encoder = artifact.load_encoder()
        artifact.check_encoder(encoder)
        return cls.assemble(artifact, encoder, catalog=catalog)

    @classmethod
    def of(cls, router: "Router | str | Path") -> "Router":
        """Return a router as it is, or load it from its folder."""
        return router if isinstance(router, Router) else cls.load(router)

    @classmethod
    def assemble(cls, artifact: Artifact, encoder: Encoder, *, catalog: str | Path | Catalog | None = None) -> "Router":
        """Build a router from parts already in memory; its predictions are computed by compiled code, if possible."""
        predictor = compiled(artifact.predictor)
        artifact = artifact if predictor is artifact.predictor else replace(artifact, predictor=predictor)
        if isinstance(catalog, str | Path):
            catalog = Catalog.load(catalog)
        cards = artifact.catalog if catalog is None else catalog
        announced = read_announced(artifact, cards)
        models = (*graded_models(artifact), *(() if announced is None else announced.models))
        return cls(artifact=artifact, encoder=encoder, catalog=cards.only(models), announced=announced)

    def graded_only(self) -> "Router":
        """Return the router without announced models: what a table can measure. Of a starter, that is all of them."""
        if self.announced is None or self.artifact.is_starter:
            return self
        return replace(self, announced=None, catalog=self.catalog.only(graded_models(self.artifact)))

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the candidate models, in the order of the columns of `predict`."""
        return self._candidates.models

    @property
    def without_outcomes(self) -> tuple[Exclusion, ...]:
        """Models that the artifact knows the price of and nothing else: never chosen, as nothing speaks for them."""
        return self._candidates.without_outcomes

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """What the router may promise, one a target and quality bar; see `router_model.certificate`."""
        return self.artifact.certificates

    def predict(self, prompts: Sequence[PromptLike], quality_bar: float = 0.5) -> PredictionTable:
        """Predict success, cost and output tokens of every model on every prompt.

        Parameters
        ----------
        prompts : n texts, lists of chat messages or chat bodies
        quality_bar : float
            An answer succeeds when its quality is at least this.

        Returns
        -------
        PredictionTable
            ``models``, and ``p_success`` and ``expected_cost_usd`` of shape (n, n_models).

        Raises
        ------
        PromptError
            If a prompt is neither text nor chat messages.
        RequestError
            If `prompts` is a single text, or no logged answer reached the bar.
        """
        if isinstance(prompts, str):
            raise RequestError("prompts is one text; expected a list of prompts, e.g. [prompt]")
        return self.predict_features(featurise(prompts, self.encoder), quality_bar)

    def predict_features(self, features: PromptFeatures, quality_bar: float = 0.5) -> PredictionTable:
        """Predict from features that were computed before; see `predict`."""
        if len(features) <= _CHUNK:
            return self._predict_part(features, quality_bar)
        starts = range(0, len(features), _CHUNK)
        parts = [features.take(np.arange(start, min(start + _CHUNK, len(features)))) for start in starts]
        return PredictionTable.concatenate([self._predict_part(part, quality_bar) for part in parts])

    def _predict_part(self, features: PromptFeatures, quality_bar: float) -> PredictionTable:
        prediction, candidates = self.artifact.predictor.predict(features, quality_bar=quality_bar), self._candidates
        if self.announced is not None:
            prediction = self.announced.extend(prediction)
        if candidates.columns is not None:
            prediction = prediction.of_models(candidates.columns)
        # E[min(tokens, limit)] <= min(E[tokens], limit): capped so, no call looks cheaper than it is.
        output_tokens = np.minimum(prediction.output_tokens.astype(np.float64), features.max_output_tokens[:, None])
        cost = candidates.prices.expected_cost_usd(
            n_input_tokens=features.n_input_tokens,
            tokens_per_piece=candidates.tokens_per_piece,
            output_tokens=output_tokens,
            n_images=features.n_images,
        )
        table = PredictionTable(
            models=self.models,
            p_success=prediction.p_success.astype(np.float64),
            expected_cost_usd=cost,
            expected_output_tokens=output_tokens,
            familiarity=prediction.nearest_similarity.astype(np.float64),
            quality_bar=quality_bar,
            trust=prediction.trust.astype(np.float64),
            p_interval=prediction.p_interval.astype(np.float64),
            output_token_quantiles=np.minimum(
                prediction.output_token_quantiles, features.max_output_tokens[:, None, None]
            ),
            expected_latency_s=None if prediction.latency_s is None else prediction.latency_s.astype(np.float64),
            expected_quality=prediction.expected_quality.astype(np.float64),
            level_error=candidates.level_error,
            caution=candidates.caution,
        )
        return table if self.levels is None else self.levels.apply(table)

    def route(
        self,
        prompt: PromptLike,
        *,
        quality_bar: float | None = None,
        target_success: float | None = None,
        success_value_usd: float | None = None,
        quality_value_usd: float | None = None,
        cost_quality_tradeoff: float | None = None,
        constraints: Constraints | None = None,
        explain: bool = False,
        warm_cache: WarmCache | None = None,
    ) -> Decision:
        """Decide which model to call for one prompt.

        Parameters
        ----------
        prompt : text, a list of chat messages or a chat body
        quality_bar : float, optional
            The quality that an answer needs to succeed. Default: the artifact's. If it is given alone, or with a
            trade-off, the rule weighs the probability of success instead of the expected quality.
        target_success : float, optional
            Where the artifact holds a certificate for this target and bar (`certificates`): decide by its rule,
            so that prompts like the calibration prompts succeed at least this often *on average*, or go to the
            safest model if nothing could be certified. Without a `quality_bar`, a certificate of mean quality comes
            first: the answers then reach this quality on average. Without any certificate: choose the cheapest model
            whose probability to meet the bar is at least this; if none has it, the likeliest. The decision's
            ``certificate`` says which.
        success_value_usd : float, optional
            Choose the model with the highest ``p_success * success_value_usd - expected cost``: what a success
            is worth, in USD.
        quality_value_usd : float, optional
            Choose the model with the highest ``expected quality * quality_value_usd - expected cost``: what quality 1
            is worth over quality 0, in USD. Of right-or-wrong answers it is the value of a success. Default: the
            artifact's operating point (`router_model.training.measuring.operating_point`).
        cost_quality_tradeoff : float, optional
            0 (the likeliest model) to 10 (the cheapest) instead of a value; 7 is the artifact's value. See
            `router_model.tradeoff.Dial`.
        constraints : Constraints, optional
            What a candidate must be and may cost. A certificate was made without them: where they rule out a
            model, the rule stays and the decision carries no certificate.
        explain : bool
            Attach an `Explanation` to the decision, which takes several times as long as deciding.
        warm_cache : model -> word pieces, optional
            What providers have in a warm prompt cache of this conversation, in our word pieces: those models are
            expected to cost less (`router_model.prompt_cache`). A certificate was made without: a decision whose
            costs are lowered carries none.

        Raises
        ------
        RequestError
            If a number is out of its range, or more than one of target, values and trade-off is given.
        NoCandidateError
            If the constraints leave no model; the message names them.
        PromptError
            If the prompt is neither text nor chat messages, or is empty.
        """
        goal = read_goal(
            quality_bar=quality_bar,
            target_success=target_success,
            success_value_usd=success_value_usd,
            quality_value_usd=quality_value_usd,
            cost_quality_tradeoff=cost_quality_tradeoff,
        )
        warm_caches = None if warm_cache is None else [warm_cache]
        return self.decide([prompt], goal, constraints=constraints, explain=explain, warm_caches=warm_caches)[0]

    def route_batch(
        self,
        prompts: Sequence[PromptLike],
        *,
        quality_bar: float | None = None,
        target_success: float | None = None,
        success_value_usd: float | None = None,
        quality_value_usd: float | None = None,
        cost_quality_tradeoff: float | None = None,
        constraints: Constraints | None = None,
        explain: bool = False,
        warm_caches: Sequence[WarmCache | None] | None = None,
    ) -> list[Decision]:
        """Decide for many prompts at once; see `route`. `warm_caches` has one for each prompt."""
        goal = read_goal(
            quality_bar=quality_bar,
            target_success=target_success,
            success_value_usd=success_value_usd,
            quality_value_usd=quality_value_usd,
            cost_quality_tradeoff=cost_quality_tradeoff,
        )
        return self.decide(prompts, goal, constraints=constraints, explain=explain, warm_caches=warm_caches)

    def decide(
        self,
        prompts: Sequence[PromptLike],
        goal: Goal,
        *,
        constraints: Constraints | None = None,
        explain: bool = False,
        warm_caches: Sequence[WarmCache | None] | None = None,
        keep_features: bool = False,
        features: PromptFeatures | None = None,
    ) -> list[Decision]:
        """Decide for prompts that have one goal; see `route`, which reads the goal from its keywords.

        With `keep_features` each decision has the features of its prompt. `features` are those that another router of
        the same encoder kept, of the same prompts under the same constraints: they are not computed again.
        """
        rule = self.rule(goal)
        limits = constraints or _UNCONSTRAINED
        parsed = [_limited(Prompt.parse(prompt).require_content(), limits) for prompt in prompts]
        if features is None:
            features = featurise(parsed, self.encoder)
        table = self.predict_features(features, self.quality_bar(goal))
        warm = np.zeros(len(parsed), dtype=bool)
        if warm_caches is not None:
            saved = self._saving_usd(features, warm_caches)
            table, warm = with_warm_caches(table, saved), np.any(saved != 0, axis=1)
        screening = self.screen(parsed, features, table, limits)
        for row in range(len(parsed)):
            screening.require_candidate(row)
        ranked = self.rank(rule, table, screening.eligible)
        pieces = features.n_input_tokens.tolist()
        decisions = [
            self._decision(
                table, row, ranked[row], screening, rule,
                n_input_tokens=pieces[row], features=features.of_prompt(row) if keep_features else None,
            )
            for row in range(len(parsed))
        ]  # fmt: skip
        if explain:
            decisions = explain_decisions(
                decisions, features, artifact=self.artifact, catalog=self.catalog, rule=rule, announced=self.announced
            )
            decisions = decisions if self.levels is None else list(map(self.levels.explain, decisions))
        if rule.certificate is None or not self._candidates.has_own_prices:
            return decisions
        usual = screening if limits == _UNCONSTRAINED else self.screen(parsed, features, table, _UNCONSTRAINED)
        unlimited = (screening.eligible == usual.eligible).all(axis=1) & ~warm
        return [
            replace(decision, certificate=rule.certificate) if same else decision
            for decision, same in zip(decisions, unlimited, strict=True)
        ]

    def quality_bar(self, goal: Goal) -> float:
        """Return the quality at which an answer succeeds: the goal's, or else the artifact's."""
        return self.artifact.operating_point.quality_bar if goal.quality_bar is None else goal.quality_bar

    def rule(self, goal: Goal = OWN_TRADEOFF) -> Rule:
        """Return the rule that a goal is reached by; see `route`."""
        rule = self._trained_rule(goal)
        return rule if self.levels is None else self.levels.rule(rule)

    def _trained_rule(self, goal: Goal) -> Rule:
        match goal:
            case TargetSuccess(target, bar):
                own = self.artifact.operating_point.quality_bar
                return Rule.of_target(target, find_certificate(self.certificates, target, bar, default_bar=own))
            case SuccessValue(value):
                return Rule(None, value)
            case QualityValue(value):
                return Rule(None, None, quality_value_usd=value)
            case Tradeoff(position) if position != DEFAULT_POSITION:
                return _weighing(self._candidates.dial.value_usd(goal), goal)
            case Tradeoff() | OwnTradeoff():
                point = self.artifact.operating_point
                return _weighing(point.quality_value_usd, goal, always_model=point.always_model)

    def _saving_usd(self, features: PromptFeatures, warm_caches: Sequence[WarmCache | None]) -> npt.NDArray[np.float64]:
        """Return what warm caches save of each call, shape (n_prompts, n_models)."""
        if len(warm_caches) != len(features):
            raise RequestError(f"warm_caches has {len(warm_caches)} entries for {len(features)} prompts; give one each")
        pieces, per_piece = features.n_input_tokens, self._candidates.tokens_per_piece
        prices = self._candidates.prices
        return saving_usd(prices, self.models, warm_caches, n_input_tokens=pieces, tokens_per_piece=per_piece)

    def rank(self, rule: Rule, table: PredictionTable, eligible: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
        """Rank the models of every prompt, best first, shape (n_prompts, n_models).

        By the rule; where the router abstains and has a safe model, that one comes first.
        """
        return put_first(rule.rank(table, eligible), *self.safe_rows(table, eligible))

    def safe_rows(self, table: PredictionTable, eligible: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], int]:
        """Return the prompts that go to the safe model whatever the rule, and its column; none where there is none."""
        safe = self.artifact.safe_model
        if safe is None:
            return np.empty(0, dtype=np.intp), 0
        column = self.models.index(safe)
        return np.flatnonzero(table.abstained & eligible[:, column]), column

    def screen(
        self,
        prompts: Sequence[Prompt],
        features: PromptFeatures,
        table: PredictionTable,
        constraints: Constraints,
    ) -> Screening:
        """Tell for every prompt and model whether constraints leave it a candidate, and why not."""
        return screen(
            constraints,
            prompts,
            self._candidates.table,
            n_input_tokens=features.n_input_tokens[:, None] * self._candidates.tokens_per_piece,
            expected_cost_usd=table.expected_cost_usd,
            expected_latency_s=table.expected_latency_s,
        )

    def _decision(
        self,
        table: PredictionTable,
        row: int,
        ranked: npt.NDArray[np.intp],
        screening: Screening,
        rule: Rule,
        *,
        n_input_tokens: float,
        features: PromptFeatures | None,
    ) -> Decision:
        excluded = screening.exclusions(row) + self.without_outcomes
        plan = Plan.of_row(table, row, ranked[screening.eligible[row, ranked]] if excluded else ranked)
        return Decision(
            model=plan.models[0],
            reason=_reason(plan, rule, abstained=table.abstains(row), is_starter=self.artifact.is_starter),
            plan=plan,
            excluded=excluded,
            quality_bar=table.quality_bar,
            threshold=rule.threshold,
            success_value_usd=rule.success_value_usd,
            quality_value_usd=rule.quality_value_usd,
            familiarity=float(table.familiarity[row]),
            artifact=self.artifact.content_hash,
            trust=1.0 if table.trust is None else float(table.trust[row]),
            n_input_tokens=n_input_tokens,
            features=features,
        )


def _weighing(value_usd: float, goal: Goal, *, always_model: str | None = None) -> Rule:
    """Weigh expected quality against cost, or success where the goal says what a success is."""
    of_quality = goal.quality_bar is None
    return Rule(
        None,
        None if of_quality else value_usd,
        quality_value_usd=value_usd if of_quality else None,
        always_model=always_model,
    )


def _limited(prompt: Prompt, constraints: Constraints) -> Prompt:
    """Let the request's own limit on output hold for a prompt, too."""
    limit = constraints.output_limit(prompt)
    return prompt if limit == prompt.max_output_tokens else replace(prompt, max_output_tokens=limit)


def _reason(plan: Plan, rule: Rule, *, abstained: bool, is_starter: bool) -> Reason:
    if len(plan) == 1 or is_starter:
        return Reason.ONLY_CANDIDATE if len(plan) == 1 else Reason.STARTER
    if plan.models[0] == rule.safest_model:
        return Reason.SAFEST_MODEL
    if plan.models[0] == rule.always_model:
        return Reason.BEST_SINGLE_MODEL
    if abstained:
        return Reason.OUT_OF_DISTRIBUTION
    if rule.threshold is None:
        return Reason.BEST_TRADEOFF
    return Reason.CHEAPEST_ABOVE_BAR if plan[0].cautious_p_success >= rule.threshold else Reason.NONE_ABOVE_BAR
