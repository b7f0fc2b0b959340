"""A router trained here decides on other processors as it does here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import evidence_digests
import pytest
from processors import PROCESSORS, settings

pytestmark = pytest.mark.processor


@pytest.fixture(scope="module")
def here(graded):
    return evidence_digests.digests(graded.path)


def test_alone_together_and_compiled_evidence_has_the_same_bits(here):
    assert here["alone"] == here["together"] == here["compiled"]


@pytest.mark.slow  # compiles everything anew
@pytest.mark.parametrize("processor", PROCESSORS)
def test_another_processor_reads_the_same_bits_and_chooses_the_same(here, graded, processor):
    script = Path(evidence_digests.__file__)
    done = subprocess.run(
        [sys.executable, str(script), str(graded.path)],
        env={**os.environ, **settings(processor)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert json.loads(done.stdout) == here
