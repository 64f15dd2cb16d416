"""A folder that a real rclone serves over SFTP on this machine, and that rclone knows by a name."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from baking import succeed

INSTALL = "apt-get install --no-install-recommends rclone"


def need_rclone() -> None:
    if not shutil.which("rclone"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"rclone: not found; install with `{INSTALL}`")


@contextmanager
def served(folder: Path, name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The keys and settings of rclone lie in `home`."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("RCLONE_CONFIG", str(home / "rclone.conf"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    remote = f"[{name}]\ntype = sftp\nhost = 127.0.0.1\nport = {port}\nuser = me\n"
    hidden = succeed("rclone", "obscure", "secret", cwd=home)
    (home / "rclone.conf").write_text(f"{remote}pass = {hidden}", encoding="utf-8")
    words = ["rclone", "serve", "sftp", folder, "--addr", f"127.0.0.1:{port}", "--user", "me"]
    words += ["--dir-cache-time", "0s"]  # it would not see what changes there
    with (home / "served.log").open("w") as log:
        server = subprocess.Popen([*words, "--pass", "secret"], stdout=log, stderr=log)
        try:
            _wait_for(port, server)
            yield
        finally:
            server.kill()
            server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    while True:
        assert server.poll() is None, "rclone serve ended"
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
