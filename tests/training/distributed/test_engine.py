import pickle
import sys
from concurrent.futures import CancelledError
from socketserver import BaseRequestHandler, ThreadingTCPServer

import numpy as np
import pytest
from http_thread import answering

from router_model.errors import EngineError
from router_model.training.distributed.aligned import Aligned, at_boundary
from router_model.training.distributed.engine import computing_on, engine_in_force, spread


def double(shared, piece):
    return shared * piece


def test_pieces_are_taken_as_results_are_asked_for():
    taken = []
    pieces = (taken.append(n) or n for n in range(3))
    found = spread(double, 2, pieces)
    assert taken == []
    assert next(found) == 0
    assert taken == [0]
    assert [*found] == [2, 4]


@pytest.mark.parametrize("address", ["", "local:0", "local:two", "scheduler:8786", "http://scheduler:8786"])
def test_other_addresses_are_refused(address):
    with (
        pytest.raises(EngineError, match=r"expected 'local', 'local:N' with a number of processes, or the address"),
        computing_on(address),
    ):
        pass


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "router_model.training.distributed.dask_engine", None)
    with (
        pytest.raises(EngineError, match=r"needs Dask .*: pip install '.*\[dask\]'"),
        computing_on("local:2"),
    ):
        pass


def test_a_scheduler_that_is_not_there(monkeypatch):
    dask_engine = pytest.importorskip("router_model.training.distributed.dask_engine", reason="extra 'dask'")
    monkeypatch.setattr(dask_engine, "_TO_CONNECT_S", 0.2)
    before = engine_in_force()
    with (
        pytest.raises(EngineError, match=r"the Dask scheduler tcp://127.0.0.1:9 is not reached"),
        computing_on("tcp://127.0.0.1:9"),
    ):
        pass
    assert engine_in_force() is before


class _NotDask(BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")


def test_an_address_where_something_else_answers():
    """The first bytes of HTTP are the length of 3 EiB to Dask."""
    pytest.importorskip("router_model.training.distributed.dask_engine", reason="extra 'dask'")
    server = ThreadingTCPServer(("127.0.0.1", 0), _NotDask)
    with answering(server):
        address = f"tcp://127.0.0.1:{server.server_address[1]}"
        with pytest.raises(EngineError, match="probably not a Dask scheduler"), computing_on(address):
            pass


@pytest.mark.parametrize(
    ("theirs", "match"),
    [
        ({"router-model": None}, "worker tcp://w:1 lacks router-model; install version 0.1.0"),
        ({"numpy": "2.1.0"}, r"numpy 2.1.0 \(here 2.4.6\); results would differ"),
        ({"lightgbm": None, "python": "3.13.1"}, r"lightgbm missing \(here 4.7.0\), python 3.13.1 \(here 3.11.7\)"),
    ],
)
def test_workers_of_other_versions_are_refused(theirs, match):
    dask_engine = pytest.importorskip("router_model.training.distributed.dask_engine", reason="extra 'dask'")
    ours = {"router-model": "0.1.0", "numpy": "2.4.6", "lightgbm": "4.7.0", "python": "3.11.7"}
    dask_engine.refuse_other_versions("tcp://w:1", ours, {**ours, "python": "3.11.9"})
    with pytest.raises(EngineError, match=match):
        dask_engine.refuse_other_versions("tcp://w:1", ours, {**ours, **theirs})


class Sent:
    """Shared data on the only worker; it is gone once a task was lost."""

    def __init__(self, value):
        self.value = value

    def cancelled(self):
        return False


class Outcome:
    def __init__(self, result):
        self._result = result

    def result(self):
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    def cancel(self):
        pass


class LossyClient:
    """A client of one thread, on which the first tasks fail in given ways."""

    def __init__(self, *failures):
        self.failures, self.n_sent = [*failures], 0

    def nthreads(self):
        return {"tcp://w:1": 1}

    def scatter(self, values, **_):
        self.n_sent += 1
        return [Sent(value) for value in values]

    def submit(self, compute, function, shared, piece, *, key):
        assert key.startswith("double-")
        return Outcome(self.failures.pop(0) if self.failures else compute(function, shared.value, piece))


@pytest.mark.parametrize("protocol", [4, 5])
def test_arrays_that_arrive_anywhere_in_memory_are_moved_to_a_boundary(protocol):
    whole = bytearray(17)
    assert at_boundary(memoryview(whole)[1:]).ctypes.data % 16 == 0
    sent = pickle.dumps(Aligned({"a": np.arange(5, dtype=np.float32)}), protocol=protocol)
    received = pickle.loads(sent).value["a"]
    assert received.tolist() == [0, 1, 2, 3, 4]
    assert received.ctypes.data % 16 == 0


def test_what_was_lost_with_its_workers_is_sent_and_computed_again():
    """The first piece is lost with what all share, the second with a connection; both come back in their places."""
    dask_engine = pytest.importorskip("router_model.training.distributed.dask_engine", reason="extra 'dask'")
    client = LossyClient(CancelledError("lost"), ConnectionError("gone"))
    assert [*dask_engine.DaskEngine(client).map(double, 10, iter([1, 2, 3]))] == [10, 20, 30]
    assert client.n_sent == 2


def test_a_piece_that_is_lost_again_and_again_ends_the_run():
    dask_engine = pytest.importorskip("router_model.training.distributed.dask_engine", reason="extra 'dask'")
    client = LossyClient(*[OSError("disk full")] * 3)
    with pytest.raises(EngineError, match="failed 3 times on the workers: disk full"):
        [*dask_engine.DaskEngine(client).map(double, 10, [1])]
