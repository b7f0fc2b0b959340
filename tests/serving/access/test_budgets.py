from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from router_model.serving.access.authentication import RESPONSE_HEADERS, Access
from router_model.serving.access.budgets import SERVICE, Budgets
from router_model.serving.access.key_budget import KeyBudget, Per
from router_model.serving.access.limits import Limits
from router_model.serving.common.callers import INSECURE, Role
from router_model.serving.common.service_errors import (
    BudgetExceededError,
    NotReadyError,
    RateLimitedError,
    SettingsError,
)
from router_model.serving.common.settings import Settings
from router_model.serving.preflight import about

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
TEN_A_DAY = KeyBudget(Decimal(10), Per.DAY)


class Meter:
    def __init__(self):
        self.told = []

    def set_budget_remaining(self, account, usd):
        self.told.append(("remaining", account, usd))

    def count_budget_spent(self, account, usd):
        self.told.append(("spent", account, usd))

    def count_budget_refused(self, account):
        self.told.append(("refused", account))


@pytest.fixture
def make(tmp_path):
    made = []

    def make(now=lambda: NOON, **options):
        made.append(Budgets(tmp_path / "budgets.db", now=now, **options))
        return made[-1]

    yield make
    for budgets in made:
        budgets.close()


def reserve(budgets, usd, budget=TEN_A_DAY, key_id="key", within_s=600):
    return budgets.reserve(key_id, budget, lambda: Decimal(usd), within_s=within_s)


def test_the_headers_say_what_is_left(make):
    """$10 a day; a worst case of $4 leaves $6, and 12 hours; settled at $1, the next $4 leave $5."""
    budgets = make()
    first = reserve(budgets, 4)
    assert first.headers == {
        "x-router-budget-limit-usd": "10",
        "x-router-budget-remaining-usd": "6",
        "x-router-budget-reset": "12h0m0s",
    }
    first.settle(1.0)
    assert reserve(budgets, 4).headers["x-router-budget-remaining-usd"] == "5"


def test_over_the_budget_is_refused_until_the_period_ends(make):
    """$9 of $10 are spent at noon: $1.01 would be too much; midnight is 43,200 s away."""
    budgets = make()
    reserve(budgets, 9).settle(9.0)
    with pytest.raises(
        BudgetExceededError,
        match=r"up to \$1.01; less is left of the budget of key key: of \$10 a day, \$9 is spent and \$0 reserved "
        r".*; ask for fewer max_tokens or a cheaper model, or wait until 2026-02-01 00:00 UTC",
    ) as caught:
        reserve(budgets, "1.01")
    assert (caught.value.status, caught.value.type, caught.value.code) == (429, "insufficient_quota", "budget_exceeded")
    assert caught.value.headers == {
        "x-router-budget-limit-usd": "10",
        "x-router-budget-remaining-usd": "1",
        "x-router-budget-reset": "12h0m0s",
        "retry-after": "43200",
        "x-should-retry": "false",
    }
    assert reserve(budgets, 1) is not None


def test_where_only_calls_under_way_are_in_the_way_it_is_worth_trying_again_soon(make):
    budgets = make()
    reserve(budgets, 9)
    with pytest.raises(BudgetExceededError, match=r"\$0 is spent and \$9 reserved by calls under way") as caught:
        reserve(budgets, 2)
    assert caught.value.headers["retry-after"] == "1"
    assert "x-should-retry" not in caught.value.headers


def test_a_budget_in_total_has_no_time_to_wait_for(make):
    with pytest.raises(BudgetExceededError, match=r"of \$10 in total, .* a cheaper model$") as caught:
        reserve(make(), 11, KeyBudget(Decimal(10), Per.TOTAL))
    assert not {"retry-after", "x-router-budget-reset"} & caught.value.headers.keys()


def test_a_new_day_has_a_new_budget(make):
    moments = [NOON]
    budgets = make(now=lambda: moments[-1])
    reserve(budgets, 10).settle(10.0)
    moments.append(NOON + timedelta(hours=12, microseconds=-1))
    with pytest.raises(BudgetExceededError, match="less is left"):
        reserve(budgets, 1)
    moments.append(NOON + timedelta(hours=12))
    assert reserve(budgets, 10) is not None


def test_a_budget_that_is_made_monthly_counts_the_days_of_the_month(make):
    moments = [NOON - timedelta(days=1)]
    budgets = make(now=lambda: moments[-1])
    reserve(budgets, 10).settle(10.0)
    moments.append(NOON)
    assert reserve(budgets, 1, KeyBudget(Decimal(12), Per.MONTH)) is not None
    with pytest.raises(BudgetExceededError, match=r"of \$12 a month, \$10 is spent and \$1 reserved"):
        reserve(budgets, 2, KeyBudget(Decimal(12), Per.MONTH))


def test_a_reservation_expires_a_minute_after_its_call_has_to_end(make):
    moments = [NOON]
    budgets = make(now=lambda: moments[-1])
    reserve(budgets, 10, within_s=600)
    moments.append(NOON + timedelta(seconds=659))
    with pytest.raises(BudgetExceededError, match="less is left"):
        reserve(budgets, 1)
    moments.append(NOON + timedelta(seconds=660))
    assert reserve(budgets, 10) is not None


def test_the_first_of_settle_and_release_counts(make):
    budgets = make()
    reservation = reserve(budgets, 4)
    reservation.settle(1.5)
    reservation.release()
    reservation.settle(3.0)
    assert (budgets.balance("key", TEN_A_DAY).spent, budgets.balance("key", TEN_A_DAY).reserved) == (1_500_000_000, 0)


@pytest.mark.parametrize("cost", [None, float("nan"), float("inf")])
def test_an_unknown_cost_counts_as_the_worst_case(make, cost):
    budgets = make()
    reserve(budgets, 4).settle(cost)
    assert budgets.balance("key", TEN_A_DAY).spent == 4_000_000_000


def test_a_call_that_was_dearer_than_its_worst_case_is_noted_as_it_was(make):
    budgets = make()
    reserve(budgets, 4).settle(12.0)
    assert budgets.balance("key", TEN_A_DAY).spent == 12_000_000_000
    with pytest.raises(BudgetExceededError, match=r"\$12 is spent"):
        reserve(budgets, 0)


def test_without_a_budget_nothing_is_opened_or_asked(tmp_path):
    budgets = Budgets(tmp_path / "budgets.db")
    budgets.open(needed=False)
    assert budgets.reserve("key", None, lambda: pytest.fail("asked"), within_s=1) is None
    assert list(tmp_path.iterdir()) == []


def test_the_services_budget_holds_for_all_keys_together(make):
    """$10 a day for all: $6 of one key and $4 of another, which has $5 of its own, use it up."""
    budgets = make(service=TEN_A_DAY)
    assert reserve(budgets, 6, None, "a").headers == {}
    with pytest.raises(BudgetExceededError, match=r"budget of key b: of \$5 a day"):
        reserve(budgets, 6, KeyBudget(Decimal(5), Per.DAY), "b")
    assert reserve(budgets, 4, KeyBudget(Decimal(5), Per.DAY), "b").headers["x-router-budget-remaining-usd"] == "1"
    with pytest.raises(
        BudgetExceededError, match=r"less is left of the service's budget for this day \(UTC\)$"
    ) as caught:
        reserve(budgets, 1, None, "c")
    assert caught.value.headers == {"retry-after": "1"}


def test_the_meter_is_told(make):
    meter = Meter()
    budgets = make(service=KeyBudget(Decimal(100), Per.DAY), meter=meter)
    reserve(budgets, 4).settle(1.0)
    with pytest.raises(BudgetExceededError, match="less is left"):
        reserve(budgets, 11)
    assert meter.told == [
        ("remaining", "key", 6.0), ("remaining", SERVICE, 96.0), ("spent", "key", 1.0), ("spent", SERVICE, 1.0),
        ("refused", "key"),
    ]  # fmt: skip


def test_a_file_that_cannot_be_used_stops_the_start_and_later_refuses_calls(tmp_path):
    budgets = Budgets(tmp_path / "none" / "budgets.db", service=TEN_A_DAY)
    with pytest.raises(SettingsError, match="cannot be used for budgets .* see --budget-file"):
        budgets.open(needed=False)
    with pytest.raises(NotReadyError, match="cannot be used for budgets .*; try again") as caught:
        reserve(budgets, 1)
    assert caught.value.headers == {"retry-after": "1"}


def admit(access, caller, usd=1, **scope):
    return access.admit(scope, caller, lambda: Decimal(usd), within_s=600)


@pytest.fixture
def access_of(folder, make):
    def access_of(**limits):
        _, text = folder.create(Role.PROXY, **limits)
        access = Access(folder.load(), Limits(), make())
        headers = [(b"authorization", f"Bearer {text}".encode())]
        return access, access.authenticate({"headers": headers}, Role.PROXY)

    return access_of


def test_a_call_is_admitted_with_the_headers_of_its_budget(access_of):
    access, caller = access_of(budget=TEN_A_DAY)
    answered = []
    with admit(access, caller, 4, **{RESPONSE_HEADERS: answered}) as admission:
        admission.settle(3.0)
    assert (b"x-router-budget-remaining-usd", b"6") in answered
    with pytest.raises(BudgetExceededError, match=r"\$3 is spent and \$0 reserved"):
        admit(access, caller, 8)


def test_an_admission_that_nothing_settled_is_released(access_of):
    access, caller = access_of(budget=TEN_A_DAY, max_concurrent=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError, match="zero"), admit(access, caller, 10):
            1 / 0  # noqa: B018


def test_calls_at_a_time_are_limited(access_of):
    access, caller = access_of(max_concurrent=2)
    first, _ = admit(access, caller), admit(access, caller)
    with pytest.raises(RateLimitedError, match=r"has reached its limit of 2 calls under way; wait") as caught:
        admit(access, caller)
    assert caught.value.headers == {"retry-after": "1"}
    first.release()
    first.release()
    admit(access, caller)
    with pytest.raises(RateLimitedError, match="its limit of 2 calls under way"):
        admit(access, caller)


def test_a_key_that_says_nothing_has_the_usual_number_of_calls_at_a_time(access_of):
    access, caller = access_of()
    access.usual_concurrent = lambda: 1
    admit(access, caller)
    with pytest.raises(RateLimitedError, match=r"has reached its limit of 1 calls under way"):
        admit(access, caller)


def test_who_is_over_its_budget_does_not_lose_its_place(access_of):
    access, caller = access_of(max_concurrent=1, budget=TEN_A_DAY)
    for _ in range(2):
        with pytest.raises(BudgetExceededError, match="less is left"):
            admit(access, caller, 11)
    admit(access, caller, 10)


def test_without_keys_only_the_services_budget_holds(tmp_path):
    settings = Settings(artifact="r", insecure=True, budget_usd=2.5, budget_file=tmp_path / "budgets.db")
    access = Access.of(settings, None)
    admit(access, INSECURE, "2.5")
    with pytest.raises(BudgetExceededError, match="the service's budget for this day"):
        admit(access, INSECURE, "0.1")
    access.close()


def test_serve_says_before_it_listens_that_the_file_cannot_be_used(tmp_path):
    settings = Settings(artifact="r", insecure=True, budget_usd=1, budget_file=tmp_path / "none" / "budgets.db")
    with pytest.raises(SettingsError, match="none/budgets.db: cannot be used for budgets"):
        about(settings)


def test_a_service_without_budgets_makes_no_file(tmp_path, folder):
    folder.create(Role.PROXY)
    access = Access.of(Settings(artifact="r", budget_file=tmp_path / "budgets.db"), folder.load())
    admit(access, INSECURE).settle(3.0)
    assert not (tmp_path / "budgets.db").exists()


def test_a_key_with_a_budget_has_the_file_checked_at_the_start(tmp_path, folder):
    folder.create(Role.PROXY, budget=TEN_A_DAY)
    with pytest.raises(SettingsError, match="see --budget-file"):
        Access.of(Settings(artifact="r", budget_file=tmp_path / "none" / "budgets.db"), folder.load())
