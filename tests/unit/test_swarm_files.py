"""Files of the checkout that an application with replicas is given."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pytest

from components import replicated_files
from settings.files import File


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"key\.pem: No such file or directory; write a file that is there"),
        (b"", "has 0 bytes, and a service of Docker gets files of 1 to 500000"),
        (b"x" * 500_001, "has 500001 bytes"),
        (b"\xff\xfe", "is no text; put it into the image"),
    ],
)
def test_a_file_of_the_checkout_that_a_service_cant_have_is_refused(
    content: bytes | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicated_files, "CHECKOUT", tmp_path)
    if content is not None:
        (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(pulumi.RunError, match=rf"^applications\.shop\.files /k: .*{said}"):
        replicated_files._read("shop", "/k", File(content=None, source="key.pem", mode=None, user=None))
