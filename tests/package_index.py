"""A package index on this machine, of packages that hold nothing: pip and uv install from it in no time."""

import functools
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from pathlib import Path
from threading import Thread


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def package_index(folder: Path, packages: dict[str, list[str]], commands: Sequence[str] = ()) -> Iterator[str]:
    """The address under which {index: [name==version]} can be had, as long as it lasts.

    A package of `commands` is the one that is installed here, as far as its command goes.
    """
    for index, pinned in packages.items():
        for package in pinned:
            name, version = package.split("==")
            _wheel(folder / index, name, version, shared=name in commands)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _wheel(index: Path, name: str, version: str, shared: bool) -> None:
    page = index / name.lower().replace("_", "-")
    page.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    about = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "".join(f"{stem}.dist-info/{file},,\n" for file in ("METADATA", "WHEEL", "RECORD")),
    }
    if shared:
        (command,) = [one for one in distribution(name).entry_points if one.group == "console_scripts"]
        about["entry_points.txt"] = f"[console_scripts]\n{command.name} = {command.value}\n"
    with zipfile.ZipFile(page / f"{stem}-py3-none-any.whl", "w") as wheel:
        for file, text in about.items():
            wheel.writestr(f"{stem}.dist-info/{file}", text)
        if shared:
            wheel.writestr("shared.pth", "\n".join(path for path in sys.path if path.endswith("site-packages")))
