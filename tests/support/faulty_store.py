"""A store in memory that fails, hangs or refuses when told to."""

from waiting import until

from router_model.serving.decision_log.rows import ID_FIELD, NEWEST_COUNTS, Kind
from router_model.serving.decision_log.store import RefusedError, StoreError


class FaultyStore:
    """Keeps rows by id, as a database does, or by the name of their batch, as files do, if it gathers."""

    def __init__(self, *, spool_batching=None, rows_at_once=500):
        self.rows = {kind: {} for kind in Kind}
        self.files = {}
        self.reader = None
        self.spool_batching = spool_batching
        self.rows_at_once = rows_at_once
        self.away = False
        self.full = False  # can be opened and read, and takes nothing
        self.loses_answers = False  # takes what is written, and fails then
        self.hangs = False
        self.refuses = lambda _: False
        self.names = []
        self.deleted = []

    async def open(self, *, create=True):  # noqa: ARG002  (the protocol's)
        self._fail_if_away()

    async def write(self, batch, name):
        self._fail_if_away()
        if self.full:
            raise StoreError("no space left")
        self.names.append(name)
        await until(lambda: not self.hangs)
        for kind, rows in batch.items():
            for row in rows:
                if self.refuses(row):
                    raise RefusedError("this row is beyond me")
                there = self.rows[kind].setdefault(row[ID_FIELD[kind]], row)
                if kind in NEWEST_COUNTS and row["updated_at"] > there["updated_at"]:
                    self.rows[kind][row[ID_FIELD[kind]]] = row
        if self.spool_batching:
            self.files[name] = batch
        if self.loses_answers:
            raise StoreError("the connection broke after the commit")

    async def read(self, kind, row_id):
        self._fail_if_away()
        return self.rows[kind].get(row_id)

    async def find(self, kind, equal):
        self._fail_if_away()
        rows = (row for row in self.rows[kind].values() if all(row[name] == equal[name] for name in equal))
        return next(rows, None)

    async def chain(self, response_key, most):
        self._fail_if_away()
        found = []
        while (row := self.rows[Kind.RESPONSE].get(response_key)) is not None and len(found) < most:
            found.append(row)
            response_key = row["previous_key"]
        return found

    async def spent_usd(self, key_id, since):
        self._fail_if_away()
        calls = [row for row in self.rows[Kind.ATTEMPT].values() if row["key_id"] == key_id]
        return [sum(row["cost_usd"] for row in calls if row["created_at"] >= time) for time in since]

    async def delete(self, selection):
        self.deleted.append(selection)
        return dict.fromkeys(Kind, 0)

    async def close(self):
        pass

    def ids(self, kind=Kind.DECISION):
        return sorted(self.rows[kind])

    def ids_in_files(self, kind=Kind.DECISION):
        return sorted(row[ID_FIELD[kind]] for batch in self.files.values() for row in batch.get(kind, ()))

    def _fail_if_away(self):
        if self.away:
            raise StoreError("the store is away")
