import numba

from router_model.compiled.jit import compiled


def test_without_a_folder_to_write_to_functions_are_compiled_and_not_kept(monkeypatch):
    njit = numba.njit

    def only_uncached(*, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", only_uncached)
    assert compiled(lambda x: x + 1)(1) == 2
