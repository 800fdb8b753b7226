"""TLS by stunnel on both sides: initiator → stunnel → TLS → stunnel → venue."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template

import psycopg
import pytest

from fix.simvenue.bench import WAIT_S, Client, Market, Venue, free_port
from tsdb_trader import schema

pytestmark = pytest.mark.slow
HOST = "venue.test"
# What Debian's stunnel needs beyond what every Debian has.
_PACKAGES = ("stunnel4", "libwrap0", "libnsl2", "libtirpc3")


@dataclass(frozen=True)
class Stunnel:
    """The program, and where its libraries lie if it is not installed."""

    program: str
    libraries: str = ""

    def start(self, conf: Path) -> subprocess.Popen[bytes]:
        environment = dict(os.environ)
        if self.libraries:
            environment["LD_LIBRARY_PATH"] = self.libraries
        with conf.with_suffix(".log").open("wb") as log:
            return subprocess.Popen([self.program, str(conf)], env=environment, stderr=log)


def _unpacked(folder: Path) -> Stunnel | None:
    """Return Debian's stunnel, downloaded and unpacked without installing it."""
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg-deb")
    if apt is None or dpkg is None:
        return None
    try:
        subprocess.run(
            [apt, "-qq", "download", *_PACKAGES], cwd=folder, check=True, capture_output=True
        )
        for package in folder.glob("*.deb"):
            subprocess.run([dpkg, "-x", str(package), str(folder)], check=True)
    except subprocess.CalledProcessError:
        return None
    libraries = {str(path.parent) for path in folder.rglob("*.so.*")}
    return Stunnel(str(folder / "usr" / "bin" / "stunnel4"), ":".join(sorted(libraries)))


@pytest.fixture(scope="module")
def stunnel(tmp_path_factory: pytest.TempPathFactory) -> Stunnel:
    installed = shutil.which("stunnel") or shutil.which("stunnel4")
    found = Stunnel(installed) if installed else _unpacked(tmp_path_factory.mktemp("stunnel"))
    if found is None:
        pytest.skip("there is no stunnel, and apt cannot download it: apt-get install stunnel4")
    return found


class Authority:
    """A certificate authority made with the openssl command."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self.certificate = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        self._make(self.certificate, self._key, f"/CN={name}")

    def issue(self, name: str) -> tuple[Path, Path]:
        """Return certificate and key for a host name."""
        certificate = self._folder / f"{name}-of-{self.certificate.name}"
        key = certificate.with_suffix(".key")
        self._make(
            certificate,
            key,
            f"/CN={name}",
            *("-CA", str(self.certificate), "-CAkey", str(self._key)),
            *("-addext", f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=CA:FALSE"),
        )
        return certificate, key

    @staticmethod
    def _make(certificate: Path, key: Path, subject: str, *more: str) -> None:
        program = shutil.which("openssl")
        if program is None:
            pytest.skip("there is no openssl command")
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        files = ("-out", str(certificate), "-keyout", str(key))
        command = [program, "req", "-x509", *kind, "-days", "2", "-subj", subject, *more, *files]
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "theirs")


Tunnel = Callable[..., int]


@pytest.fixture
def tunnel(tmp_path: Path, stunnel: Stunnel) -> Iterator[Tunnel]:
    """Return a function that starts a stunnel from a shipped template and gives its port."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(template: str, **values: object) -> int:
        port = free_port()
        text = (schema.root() / "fixcfg" / template).read_text()
        conf = tmp_path / f"{template}-{port}.conf"
        conf.write_text(Template(text).substitute(values, accept=f"127.0.0.1:{port}"))
        processes.append(stunnel.start(conf))
        wait_for(conf.with_suffix(".log"), "Configuration successful")
        return port

    yield start
    for process in processes:
        process.terminate()
        process.wait(WAIT_S)


def wait_for(log: Path, text: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while text not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


@pytest.fixture
def venue(role_url: Callable[[str | None], str], tmp_path: Path) -> Iterator[Venue]:
    venue = Venue(role_url("tsdb_venue"), tmp_path, free_port())
    venue.start()
    yield venue
    venue.stop()


@pytest.fixture
def tls(tunnel: Tunnel, authority: Authority) -> Callable[[int], int]:
    """Return a function that puts TLS in front of a port, and gives the TLS port."""
    certificate, key = authority.issue(HOST)

    def start(port: int) -> int:
        return tunnel(
            "stunnel-server.conf",
            connect=f"127.0.0.1:{port}",
            certificate=certificate,
            key=key,
            authority=authority.certificate,
        )

    return start


@pytest.fixture
def client(tunnel: Tunnel, authority: Authority) -> Callable[..., int]:
    """Return a function that makes the participant's side, and gives its plain port."""

    def start(
        port: int,
        *,
        trusts: Authority = authority,
        is_issued_by: Authority = authority,
        host: str = HOST,
    ) -> int:
        certificate, key = is_issued_by.issue("gateway.test")
        return tunnel(
            "stunnel-client.conf",
            connect=f"127.0.0.1:{port}",
            certificate=certificate,
            key=key,
            authority=trusts.certificate,
            host=host,
        )

    return start


@pytest.fixture
def behind() -> Iterator[int]:
    """Return the port of an echo in the place of the venue."""
    listener = socket.create_server(("127.0.0.1", 0))

    def echo() -> None:
        with contextlib.suppress(OSError):
            while True:
                far, _ = listener.accept()
                with far:
                    far.sendall(far.recv(100))

    thread = threading.Thread(target=echo)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


def is_answered(port: int) -> bool:
    """Say whether what is sent to a port comes back; where TLS fails the line is cut."""
    sent = b"8=FIX.4.4\x01"
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as line:
        line.sendall(sent)
        try:
            received = line.recv(100)
        except ConnectionResetError:
            return False
    assert received in (b"", sent)
    return received == sent


def test_tls_both_sides_right_bytes_go_both_ways(
    tls: Callable[[int], int], client: Callable[..., int], behind: int
) -> None:
    assert is_answered(client(tls(behind)))


def test_tls_venue_of_another_authority_is_refused(
    tls: Callable[[int], int],
    client: Callable[..., int],
    behind: int,
    stranger: Authority,
) -> None:
    port = client(tls(behind), trusts=stranger)
    assert not is_answered(port)


def test_tls_venue_of_another_name_is_refused(
    tls: Callable[[int], int], client: Callable[..., int], behind: int
) -> None:
    port = client(tls(behind), host="another.test")
    assert not is_answered(port)


def test_tls_participant_of_another_authority_is_refused(
    tls: Callable[[int], int],
    client: Callable[..., int],
    behind: int,
    stranger: Authority,
) -> None:
    port = client(tls(behind), is_issued_by=stranger)
    assert not is_answered(port)


def test_tls_participant_without_tls_is_refused(tls: Callable[[int], int], behind: int) -> None:
    assert not is_answered(tls(behind))


def test_tls_order_is_filled_through_both_tunnels(
    conn: psycopg.Connection,
    tmp_path: Path,
    venue: Venue,
    tls: Callable[[int], int],
    client: Callable[..., int],
) -> None:
    market = Market(conn)
    market.list("IBM")
    market.batch(("IBM", ("100.00", 500, "100.02", 300)))
    initiator = Client(tmp_path, client(tls(venue.port)), "TSDB", market.session_id)
    initiator.start()
    try:
        initiator.event("logon")
        initiator.order("1", 200)
        assert initiator.message()["150"] == "0"
        assert initiator.message()["31"] == "100.02"
    finally:
        initiator.stop()
