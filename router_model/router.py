"""The router: prompts in, decisions out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from features import Encoder, Prompt, PromptLike
from features.featuriser import PromptFeatures, featurise
from router_model.artifact import Artifact, load_artifact
from router_model.catalog import Catalog
from router_model.constraints import Constraints, require_candidate
from router_model.cost import expected_cost_usd
from router_model.decision import Decision, Exclusion, PlanStep, PredictionTable, Reason
from router_model.errors import RequestError
from router_model.policy import Rule
from router_model.tradeoff import success_value_at

_CHUNK = 4096  # prompts predicted at once; bounds memory for long lists


@dataclass(frozen=True, slots=True)
class Router:
    """Decides which model to call. Immutable, so any number of threads may share one.

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

    @classmethod
    def load(
        cls, path: str | Path, *, catalog: str | Path | Catalog | None = None, encoder: Encoder | None = None
    ) -> "Router":
        """Load a trained router from its folder.

        Parameters
        ----------
        path : the folder `router-model train` wrote
        catalog : replaces prices and capabilities that were saved with it; nothing is retrained
        encoder : the encoder it was trained with; needed where that is neither ``static`` nor ``minilm``

        Raises
        ------
        ArtifactError
            If the folder is damaged, foreign, too new, or was trained with an encoder that differs.
        CatalogError
            If `catalog` lacks one of the router's models.
        """
        artifact = load_artifact(path)
        if encoder is None:
            encoder = artifact.load_encoder()
        artifact.check_encoder(encoder)
        return cls.assemble(artifact, encoder, catalog=catalog)

    @classmethod
    def assemble(cls, artifact: Artifact, encoder: Encoder, *, catalog: str | Path | Catalog | None = None) -> "Router":
        """Build a router from parts already in memory."""
        if isinstance(catalog, str | Path):
            catalog = Catalog.load(catalog)
        cards = artifact.catalog if catalog is None else catalog
        return cls(artifact=artifact, encoder=encoder, catalog=cards.only(artifact.predictor.models))

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the candidate models, in the order of the columns of `predict`."""
        return self.artifact.predictor.models

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
            If the router was not trained for the bar.
        """
        return self.predict_features(featurise(prompts, self.encoder), quality_bar)

    def predict_features(self, features: PromptFeatures, quality_bar: float = 0.5) -> PredictionTable:
        """Predict from features that were computed before; see `predict`."""
        starts = range(0, max(len(features), 1), _CHUNK)
        parts = [features.take(np.arange(start, min(start + _CHUNK, len(features)))) for start in starts]
        tables = [self._predict_part(part, quality_bar) for part in parts]
        return tables[0] if len(tables) == 1 else _concatenate(tables)

    def _predict_part(self, features: PromptFeatures, quality_bar: float) -> PredictionTable:
        prediction = self.artifact.predictor.predict(features, quality_bar=quality_bar)
        cost = expected_cost_usd(
            self.catalog,
            self.models,
            n_input_tokens=features.n_input_tokens,
            tokens_per_piece=self.artifact.tokens_per_piece,
            output_tokens=prediction.output_tokens,
        )
        return PredictionTable(
            models=self.models,
            p_success=prediction.p_success.astype(np.float64),
            expected_cost_usd=cost,
            expected_output_tokens=prediction.output_tokens.astype(np.float64),
            familiarity=prediction.familiarity.max(axis=1).astype(np.float64),
            quality_bar=quality_bar,
        )

    def route(
        self,
        prompt: PromptLike,
        *,
        quality_bar: float | None = None,
        target_success: float | None = None,
        success_value_usd: float | None = None,
        cost_quality_tradeoff: float | None = None,
        constraints: Constraints | None = None,
    ) -> Decision:
        """Decide which model to call for one prompt.

        Parameters
        ----------
        prompt : text, a list of chat messages or a chat body
        quality_bar : float, optional
            Default: the artifact's.
        target_success : float, optional
            Choose the cheapest model whose probability to meet the bar is at least this; if none has it, the
            likeliest.
        success_value_usd : float, optional
            Choose the model with the highest ``p_success * success_value_usd - expected cost``: what a success
            is worth, in USD. Default: the artifact's, chosen on its training prompts (out of fold) as the least
            that succeeds as often as the best single model.
        cost_quality_tradeoff : float, optional
            0 (the likeliest model) to 10 (the cheapest) instead of a value; 7 is the artifact's value. See
            `router_model.tradeoff.success_value_at`.
        constraints : Constraints, optional
            What a candidate must be and may cost.

        Raises
        ------
        RequestError
            If a knob is out of its range, or more than one of target, value and trade-off is given.
        NoCandidateError
            If the constraints leave no model; the message names them.
        PromptError
            If the prompt is neither text nor chat messages.
        """
        return self.route_batch(
            [prompt],
            quality_bar=quality_bar,
            target_success=target_success,
            success_value_usd=success_value_usd,
            cost_quality_tradeoff=cost_quality_tradeoff,
            constraints=constraints,
        )[0]

    def route_batch(
        self,
        prompts: Sequence[PromptLike],
        *,
        quality_bar: float | None = None,
        target_success: float | None = None,
        success_value_usd: float | None = None,
        cost_quality_tradeoff: float | None = None,
        constraints: Constraints | None = None,
    ) -> list[Decision]:
        """Decide for many prompts at once; see `route`."""
        if cost_quality_tradeoff is not None:
            _refuse_second_knob(target_success, success_value_usd)
            point, cards = self.artifact.operating_point, self.artifact.catalog
            success_value_usd = success_value_at(cost_quality_tradeoff, point, cards)
        rule = Rule.choose(self.artifact.operating_point, target_success, success_value_usd)
        bar = self.artifact.operating_point.quality_bar if quality_bar is None else quality_bar
        parsed = [Prompt.parse(prompt) for prompt in prompts]
        features = featurise(parsed, self.encoder)
        table = self.predict_features(features, bar)
        reasons = self.exclusions(parsed, features, table, constraints or Constraints())
        for row in reasons:
            require_candidate(row, self.models)
        eligible = np.array([[reason is None for reason in row] for row in reasons], dtype=bool)
        ranked = rule.rank(table, eligible.reshape(table.p_success.shape))
        return [self._decision(table, row, ranked[row], reasons[row], rule) for row in range(len(parsed))]

    def exclusions(
        self,
        prompts: Sequence[Prompt],
        features: PromptFeatures,
        table: PredictionTable,
        constraints: Constraints,
    ) -> list[list[str | None]]:
        """Return for every prompt and model the constraint that rules it out, or None."""
        rows: list[list[str | None]] = []
        for row, prompt in enumerate(prompts):
            tokens = features.n_input_tokens[row] * self.artifact.tokens_per_piece
            found = [
                constraints.violated_by(
                    self.catalog[model],
                    prompt,
                    n_input_tokens=float(tokens[column]),
                    expected_cost_usd=float(table.expected_cost_usd[row, column]),
                )
                for column, model in enumerate(self.models)
            ]
            rows.append(found)
        return rows

    def _decision(
        self,
        table: PredictionTable,
        row: int,
        ranked: npt.NDArray[np.intp],
        reasons: list[str | None],
        rule: Rule,
    ) -> Decision:
        plan = tuple(
            PlanStep(
                model=self.models[column],
                p_success=float(table.p_success[row, column]),
                expected_cost_usd=float(table.expected_cost_usd[row, column]),
                expected_output_tokens=float(table.expected_output_tokens[row, column]),
            )
            for column in ranked
            if reasons[column] is None
        )
        return Decision(
            model=plan[0].model,
            reason=_reason(plan, rule.threshold),
            plan=plan,
            excluded=tuple(
                Exclusion(model, reason)
                for model, reason in zip(self.models, reasons, strict=True)
                if reason is not None
            ),
            quality_bar=table.quality_bar,
            threshold=rule.threshold,
            success_value_usd=rule.success_value_usd,
            familiarity=float(table.familiarity[row]),
            artifact=self.artifact.content_hash,
        )


def _refuse_second_knob(target_success: float | None, success_value_usd: float | None) -> None:
    if target_success is not None or success_value_usd is not None:
        raise RequestError("give one of cost_quality_tradeoff, target_success and success_value_usd, not more")


def _reason(plan: tuple[PlanStep, ...], threshold: float | None) -> Reason:
    if len(plan) == 1:
        return Reason.ONLY_CANDIDATE
    if threshold is None:
        return Reason.BEST_TRADEOFF
    return Reason.CHEAPEST_ABOVE_BAR if plan[0].p_success >= threshold else Reason.NONE_ABOVE_BAR


def _concatenate(parts: list[PredictionTable]) -> PredictionTable:
    return PredictionTable(
        models=parts[0].models,
        p_success=np.concatenate([part.p_success for part in parts]),
        expected_cost_usd=np.concatenate([part.expected_cost_usd for part in parts]),
        expected_output_tokens=np.concatenate([part.expected_output_tokens for part in parts]),
        familiarity=np.concatenate([part.familiarity for part in parts]),
        quality_bar=parts[0].quality_bar,
    )
