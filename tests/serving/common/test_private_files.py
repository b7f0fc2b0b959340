import stat

import pytest

from router_model.serving.common.private_files import make_private


def test_what_is_no_file_keeps_its_rights(tmp_path):
    tmp_path.chmod(0o755)
    with pytest.raises(OSError, match="not a regular file"):
        make_private(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
