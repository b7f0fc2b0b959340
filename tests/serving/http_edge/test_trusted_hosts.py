import pytest
from guarded_app import settings_of

from router_model.serving.common.service_errors import SettingsError
from router_model.serving.http_edge.trusted_hosts import TrustedHosts


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        (b"router.internal", True),
        (b"ROUTER.internal:8484", True),
        (b"a.example.com", True),
        (b"a.b.example.com:443", True),
        (b"[fd00::7]:8484", True),
        (b"[fd00::7]", True),
        (b"example.com", False),
        (b"evilexample.com", False),
        (b"router.internal.evil.org", False),
        (b"router.internal:80@evil.org", False),
        (b"router.internal:", False),
        (b"router.internal:port", False),
        (b"router.internal/", False),
        (b"router.internal, evil.org", False),
        (b"evil.org#router.internal", False),
        (b" router.internal", False),
        (b"fd00::7", False),
        (b"", False),
        (b":8484", False),
        (b"\xe2\x80\xa8.example.com", False),
    ],
)
def test_hosts_are_compared_as_they_came_but_for_case_and_port(host, trusted):
    hosts = TrustedHosts(["router.internal", "*.example.com", "fd00::7"])
    assert [hosts.trusts(host), hosts.trusts(host)] == [trusted] * 2


@pytest.mark.parametrize(
    ("host", "trusts"),
    [("127.0.0.1", ["localhost:1", "127.0.0.1", "[::1]"]), ("10.0.0.7", ["10.0.0.7:8484", "localhost"])],
)
def test_by_default_loopback_and_the_address_listened_on_are_trusted(host, trusts):
    hosts = TrustedHosts.of(settings_of(host=host, trusted_hosts=()))
    assert all(hosts.trusts(name.encode()) for name in trusts)
    assert not hosts.trusts(b"10.0.0.8")


@pytest.mark.parametrize("names", [(), ("router.internal",)])
def test_listening_everywhere_the_address_called_is_trusted(names):
    """Probes of containers call them by address; no name can be rebound to an address in the header."""
    hosts = TrustedHosts.of(settings_of(host="0.0.0.0", trusted_hosts=names))
    assert hosts.trusts(b"172.17.0.2:8484", ("172.17.0.2", 8484))
    assert not hosts.trusts(b"172.17.0.2:8484", ("172.17.0.3", 8484))
    assert not hosts.trusts(b"evil.org", ("172.17.0.2", 8484))
    assert not hosts.trusts(b"evil.org", None)


def test_named_hosts_replace_the_default():
    assert not TrustedHosts.of(settings_of(trusted_hosts=("a.org",))).trusts(b"localhost")


def test_a_star_trusts_every_well_formed_host():
    hosts = TrustedHosts(["*"])
    assert hosts.trusts(b"anything.org:1")
    assert not hosts.trusts(b"any thing")


def test_what_is_remembered_is_bounded():
    hosts = TrustedHosts(["*.example.com"])
    assert all(hosts.trusts(b"%d.example.com" % n) for n in range(1000))
    assert len(hosts._remembered) == 256


@pytest.mark.parametrize("name", ["http://a.org", "a.org:80", "a.org/", "*a.org", "a.*.org", "", "a b"])
def test_what_is_no_host_is_refused_at_the_start(name):
    with pytest.raises(SettingsError, match="expected a name or address without scheme, port or path"):
        TrustedHosts([name])
