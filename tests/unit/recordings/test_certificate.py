"""The certificates that TLS shows: made once and kept, or given and seen to be sound."""

from __future__ import annotations

import datetime
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from reclog.errors import CertificateError, UsageError
from reclog.recordings.certificate import Certificate, certificate_for, names_here, names_of
from reclog.recordings.registry import Registry
from reclog.recordings.settings import resolve_local

NAMES = ["lab", "localhost", "192.168.1.10", "fd00::1"]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "state")
    registry.make()
    return registry


def shown(registry: Registry, names: Sequence[str] = NAMES, **words: str) -> Certificate:
    settings = resolve_local({"tls": True, **{f"tls_{name}": word for name, word in words.items()}}, {})
    return certificate_for(settings, registry, "lab", names)


def openssl(folder: Path, words: str) -> None:
    subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True, timeout=30)


def test_one_of_our_own_is_made_once_for_devices_without_a_clock(registry: Registry) -> None:
    own = shown(registry)
    made = x509.load_pem_x509_certificate(Path(own.path).read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == NAMES
    assert made.not_valid_before_utc.year == 1970
    years = made.not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc)
    assert 3650 <= years.days <= 3653
    assert {oct(Path(file).stat().st_mode & 0o777) for file in (own.path, own.key)} == {"0o600"}
    assert Path(own.path).parent.stat().st_mode & 0o777 == 0o700
    der = ssl.PEM_cert_to_DER_cert(Path(own.path).read_text())
    said = subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-noout", "-fingerprint", "-sha256"],
        input=der,
        capture_output=True,
        check=True,
    )
    assert own.fingerprint == said.stdout.decode().strip().partition("=")[2].replace(":", "").lower()
    assert shown(registry) == own


def test_what_a_kept_one_does_not_name_is_said(registry: Registry) -> None:
    own = shown(registry)
    later = shown(registry, [*NAMES, "10.0.0.7"])
    assert (later.fingerprint, later.unnamed) == (own.fingerprint, ["10.0.0.7"])
    assert "10.0.0.7" in later.notes[0]


@pytest.mark.parametrize("spoilt", ["gone", "cut", "expired", "of another key"])
def test_one_of_our_own_that_is_not_sound_is_made_anew(registry: Registry, spoilt: str) -> None:
    own = shown(registry)
    certificate, key = Path(own.path), Path(own.key)
    if spoilt == "gone":
        key.unlink()
    elif spoilt == "cut":
        certificate.write_bytes(certificate.read_bytes()[:200])
    else:
        openssl(
            certificate.parent,
            "req -x509 -newkey rsa:1024 -nodes -keyout new.key -out new.pem -subj /CN=x -days 1",
        )
        if spoilt == "expired":
            (certificate.parent / "new.key").replace(key)
            expire(certificate.parent, key)
        (certificate.parent / "new.pem").replace(certificate)
    assert shown(registry).fingerprint != own.fingerprint
    assert shown(registry) == shown(registry)


def expire(folder: Path, key: Path) -> None:
    """Make new.pem in `folder` one of `key` that has expired."""
    from cryptography.hazmat.primitives import hashes, serialization

    private: Any = serialization.load_pem_private_key(key.read_bytes(), None)
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    name = x509.Name([])
    old = x509.CertificateBuilder(
        name, name, private.public_key(), 1, begin, begin + datetime.timedelta(days=1)
    ).sign(private, hashes.SHA256())
    (folder / "new.pem").write_bytes(old.public_bytes(serialization.Encoding.PEM))


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a certificate, two keys, one with a passphrase, and one that has expired."""
    tmp_path = tmp_path_factory.mktemp("given")
    openssl(tmp_path, "req -x509 -newkey rsa:1024 -nodes -keyout own.key -out own.pem -subj /CN=own -days 5")
    openssl(tmp_path, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out other.key")
    openssl(tmp_path, "rsa -aes128 -in own.key -out locked.key -passout pass:secret")
    openssl(
        tmp_path,
        "req -x509 -key own.key -addext basicConstraints=critical,CA:FALSE -out leaf.pem -subj /CN=l",
    )
    expire(tmp_path, tmp_path / "own.key")
    return tmp_path


def test_one_that_is_given_is_taken_as_it_is(registry: Registry, given: Path) -> None:
    own = shown(
        registry, cert=str(given / "own.pem"), key=str(given / "own.key"), clients=str(given / "own.pem")
    )
    assert (own.path, own.unnamed) == (str(given / "own.pem"), [])
    assert not (registry.root / "tls").exists()


@pytest.mark.parametrize(
    ("cert", "key", "clients", "why"),
    [
        ("own.pem", "other.key", "", "other.key is not the key of .*own.pem: give two that belong together"),
        ("own.pem", "locked.key", "", "locked.key has a passphrase"),
        ("own.pem", "own.pem", "", "own.pem is no private key"),
        ("own.pem", "none.key", "", "none.key can't be read .No such file.*--tls-key"),
        ("own.key", "own.key", "", "own.key is no certificate"),
        ("none.pem", "own.key", "", "none.pem can't be read .No such file.*--tls-cert"),
        ("new.pem", "own.key", "", "new.pem has expired"),
        ("own.pem", "own.key", "own.key", "own.key holds no CA"),
        ("own.pem", "own.key", "leaf.pem", "leaf.pem holds no CA"),
        ("own.pem", "own.key", "none.pem", "none.pem can't be read .No such file.*--tls-clients"),
    ],
)
def test_what_is_wrong_with_files_is_a_sentence(
    registry: Registry, given: Path, cert: str, key: str, clients: str, why: str
) -> None:
    words = {"cert": str(given / cert), "key": str(given / key)}
    with pytest.raises(CertificateError, match=f"^[^\n]*{why}[^\n]*[.]$"):
        shown(registry, **words, **({"clients": str(given / clients)} if clients else {}))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"tls_clients": "ca.pem"}, "go with --tls: add that"),
        ({"tls": True, "tls_cert": "a.pem"}, "--tls-cert and --tls-key go together"),
        ({"tls": True, "tls_key": "a.key"}, "--tls-cert and --tls-key go together"),
        ({"tls": True, "listener": "socat"}, "--tls is spoken by builtin alone.*use --listener builtin"),
        ({"tls": True, "raw": True}, "--tls is spoken by builtin alone.*leave --raw out"),
    ],
)
def test_words_that_do_not_go_with_tls(words: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        resolve_local(words, {})


def test_this_machine_is_called_by_all_its_names() -> None:
    assert {"localhost", "127.0.0.1"} <= set(names_here())
    assert not [name for name in names_here() if "%" in name]
    assert names_of("127.0.0.1", "no-such-host.invalid") == ["127.0.0.1", "no-such-host.invalid"]
