"""Shared fixtures: routers trained in the simulated world, and the real tables."""

import asyncio
import fcntl
import gc
import inspect
import os
import pickle
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import pytest
import virtual_time
from hypothesis import settings
from postgres_server import PostgresServer, server_programs
from processes import free_port, running
from simulated_world import BOLD, CATALOG, simulate

if "PYTEST_XDIST_WORKER" in os.environ:  # one of several processes: threads of all would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from router_model import Catalog, Router
from router_model.features import load_encoder
from router_model.features.featuriser import featurise
from router_model.policy import OperatingPoint
from router_model.saved.artifact import save_artifact
from router_model.training import tracking
from router_model.training.table.outcomes import read_outcomes
from router_model.training.table.prices import complete_catalog
from router_model.training.table.split import split_prompts
from router_model.training.train import Run, TrainConfig, TrainingReport, train

# How long an example takes is the machine's affair, and benchmarks measure it: tests pass on slow machines, too.
settings.register_profile("quick", deadline=None, max_examples=10)
settings.register_profile("thorough", deadline=None, max_examples=30)
settings.load_profile("quick")  # `make test-all` asks for the other one, by --hypothesis-profile

T = TypeVar("T")

collect_ignore = ["performance"]  # benchmarks: run by `make bench`


DEAR = ("tests/training/benchmark/packages", "tests/serving/integrations", "tests/serving/system", "tests/console")
"""Folders whose tests share what is slow to make: an environment, a service."""
ON_REAL_TABLES = tuple(f"tests/training/test_{name}.py" for name in ("real_tables", "real_certificates"))
ON_REAL_TABLES += tuple(f"tests/training/test_{name}.py" for name in ("real_robustness", "replay"))
ON_REAL_TABLES += tuple(f"tests/training/test_{name}.py" for name in ("real_added_models", "real_announced_crowd"))
ON_REAL_TABLES += ("tests/router_model/commands/test_simulate.py",)
"""Files whose tests share the routers of `real_run`."""
REAL_TABLES = ("mmlu_pro", "zeroeval")


def group_of(nodeid: str) -> str:
    """Return the name of the tests that run in one process: of a file, unless more is shared.

    Routers of real tables are trained once: the tests of each table are a group.
    """
    path = nodeid.partition("::")[0]
    if path in ON_REAL_TABLES:
        return next((name for name in REAL_TABLES if name in nodeid), path)
    return next((folder for folder in DEAR if path.startswith(f"{folder}/")), path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """With ``-n``, tests that share what is dear stay together, and the longest groups come first.

    Not by ``--dist loadgroup``: since pytest 9.2 xdist 3.8 cannot name the groups, and silently spreads single tests.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False  # it would put those of the most tests first
    return Groups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest first, so that no process is left alone with it at the end."""
    first = (*REAL_TABLES, *DEAR)
    items.sort(key=lambda item: group_of(item.nodeid) not in first)


ALLOWED_S = {"not slow": 450, "slow or hypothesis": 1200}
"""Seconds of processor time that the tests of `make test` and `make test-all` may take together."""
BEGUN_S = pytest.StashKey[float]()


def processor_s() -> float:
    """Return the processor time of this process, and of its children that have ended."""
    return sum(os.times()[:4])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[BEGUN_S] = processor_s()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Tell the first process what a test took, with its fixtures: what else runs here changes the wall clock only."""
    if call.when == "teardown":
        item.user_properties.append(("processor_s", processor_s() - item.stash[BEGUN_S]))


IN_TIME_S = 300
"""Seconds after which a test that is a coroutine function hangs; none takes nearly as long."""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function in an event loop of its own, or in one whose time is virtual."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    main = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    if pyfuncitem.get_closest_marker("virtual_time"):
        virtual_time.run(main)
    else:
        with asyncio.Runner(loop_factory=pyfuncitem.funcargs.get("loop_factory")) as runner:
            runner.run(asyncio.wait_for(main, IN_TIME_S))
    return True


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how long all tests took, and which files took most: each new test is cheap, and nobody sees their sum."""
    spent: Counter[str] = Counter()
    for report in chain.from_iterable(terminalreporter.stats.values()):
        if isinstance(report, pytest.TestReport) and report.when == "teardown":
            took = dict(report.user_properties).get("processor_s", 0.0)  # doctests of the packages are not ours to time
            spent[report.nodeid.partition("::")[0]] += float(took)
    if spent.total() < 30:
        return
    allowed = ALLOWED_S.get(config.option.markexpr)
    limit = f", of {allowed:,} that it may (tests/README.md says what to do)" if allowed else ""
    terminalreporter.section(f"{spent.total():,.0f} s of processor time{limit}")
    for path, seconds in spent.most_common(12):
        terminalreporter.write_line(f"{seconds:7.1f} s  {path}")


def pytest_collection_finish() -> None:
    """Let garbage collections pass over what was imported: 800,000 objects, half a second each time.

    The service does the same for itself where it has a process of its own.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_earlier_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test record into the MLflow of whoever runs it, by their variable or a file of earlier runs here."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(tracking, "DEFAULT_FILE", Path("no-mlflow.db"))


@pytest.fixture(scope="session")
def postgres():
    """A running PostgreSQL server; skips where it is not installed."""
    programs = server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)")
    pytest.importorskip("asyncpg")
    server = PostgresServer(programs)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def free_databases() -> list[str]:
    """Names of databases that no test uses now."""
    return []


def run_beside(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a thread: a test that is one itself has a loop that runs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


@pytest.fixture
def new_database(postgres: PostgresServer, free_databases: list[str]) -> Iterator[Callable[[], str]]:
    """Return what returns the URL of an empty database; it is emptied for the next test.

    A database is 300 files. One for each test took longer to make than to fill, and half a minute to delete in the end.
    """
    taken: list[str] = []

    def new() -> str:
        if not free_databases:
            free_databases.append(run_beside(postgres.create_database()))
        taken.append(free_databases.pop())
        return postgres.url(taken[-1])

    yield new
    if taken:
        postgres.ensure()
    for name in taken:
        asyncio.run(postgres.empty_database(name))
        free_databases.append(name)


def empty_log(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if kind == "postgresql":
        return request.getfixturevalue("new_database")()
    return f"sqlite+aiosqlite:///{folder}/log.db" if kind == "sqlite" else f"parquet:{folder}/log"


@pytest.fixture(params=["sqlite", "postgresql", "parquet"])
def log_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty log, of each kind."""
    return empty_log(request.param, request, tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty log in a database, of each kind."""
    return empty_log(request.param, request, tmp_path)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory):
    """The address of a running MLflow server with a store of its own; takes many seconds to start."""
    pytest.importorskip("mlflow", reason="extra 'train' is not installed")
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", "sqlite:///store.db", "--artifacts-destination", str(folder / "files")]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    url = f"http://127.0.0.1:{port}"
    with running(command, ready_url=f"{url}/health", output=folder / "said", env=environment, cwd=folder, limit_s=180):
        yield url


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return Catalog.parse(CATALOG, origin="catalog.toml")


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "outcomes.parquet"
    simulate(500).write_parquet(path)
    return path


@dataclass(frozen=True)
class Trained:
    """A router trained on `table`, with its report."""

    path: Path
    report: TrainingReport
    router: Router


def trained_once(name: str, table: Path, catalog: Catalog, factory: pytest.TempPathFactory) -> Trained:
    """Return a router that the first process of the session trained; the others wait for it, and load it."""
    root = factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / f"{name}-of-all"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "report").exists():
            report = train(table, folder / "router", catalog=catalog, config=BOLD)
            (folder / "report").write_bytes(pickle.dumps(report))
    report = pickle.loads((folder / "report").read_bytes())
    return Trained(folder / "router", report, Router.load(folder / "router"))


@pytest.fixture(scope="session")
def trained(table: Path, catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained_once("trained", table, catalog, tmp_path_factory)


@pytest.fixture(scope="session")
def graded(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    path = tmp_path_factory.mktemp("graded") / "outcomes.parquet"
    simulate(400, seed=1, graded=True).write_parquet(path)
    return trained_once("graded", path, catalog, tmp_path_factory)


@pytest.fixture(scope="session")
def valued(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The trained router (``weighing``), and with a success worth so much or so little that cost or quality is all."""
    folder, found = tmp_path_factory.mktemp("valued"), {"weighing": trained.path}
    for name, usd in (("dear", 100.0), ("cheap", 0.0)):
        save_artifact(replace(trained.router.artifact, operating_point=OperatingPoint(0.5, usd)), folder / name)
        found[name] = folder / name
    return found


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real outcome tables; skips where there is none."""
    folder = Path(os.environ.get("ROUTER_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (folder / "zeroeval" / "outcomes.parquet").is_file():
        pytest.skip(f"no real outcome tables in {folder} (set ROUTER_DATA to their folder)")
    return folder


@pytest.fixture(scope="session")
def real_run(real_data: Path) -> Callable[..., tuple[Run, Router]]:
    """Return what trains on a real table, with the defaults and the static encoder; each (table, seed) once."""
    prepared: dict[str, Run] = {}
    trained: dict[tuple[str, int], tuple[Run, Router]] = {}

    def run(table: str, seed: int = 0) -> tuple[Run, Router]:
        if table not in prepared:
            path, encoder = real_data / table / "outcomes.parquet", load_encoder("static")
            outcomes = read_outcomes(path)
            cards = complete_catalog(Catalog.load(path.with_name("catalog.toml")), outcomes.models)
            features, split = featurise(outcomes.prompts, encoder), split_prompts(outcomes.prompt_ids, seed=0)
            prepared[table] = Run(path, outcomes, features, split, cards, encoder, TrainConfig())
        if (table, seed) not in trained:
            split = split_prompts(prepared[table].outcomes.prompt_ids, seed=seed)
            seeded = replace(prepared[table], split=split, config=TrainConfig(seed=seed))
            trained[table, seed] = seeded, seeded.fit(lambda _: None)[0]
        return trained[table, seed]

    return run
