import training.metrics


def test_public_names_are_sorted_and_resolve():
    names = training.metrics.__all__
    assert names == sorted(names)
    assert all(callable(getattr(training.metrics, name)) for name in names)
