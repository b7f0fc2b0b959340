from router_model.training import metrics


def test_public_names_are_sorted_and_resolve():
    names = metrics.__all__
    assert names == sorted(names)
    assert all(callable(getattr(metrics, name)) for name in names)
