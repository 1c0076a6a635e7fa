"""Suffix arithmetic: what is appended to a prefix stays in it, and networks that are apart stay apart."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from settings.addresses import (
    AddressError,
    Suffix,
    container_address,
    container_net,
    in_prefix,
    make_plan,
    own_address,
    parse_suffix,
    unquoted,
)

PREFIX = "2001:db8:1:2::/64"

prefixes = st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 64)).map(
    lambda drawn: IPv6Network((drawn[0] >> (128 - drawn[1]) << (128 - drawn[1]), drawn[1]))
)
addresses = st.integers(0, 2**64 - 1).map(lambda bits: Suffix(bits, None))
networks = st.tuples(st.integers(0, 2**64 - 1), st.integers(64, 128)).map(
    lambda drawn: Suffix(drawn[0] >> (128 - drawn[1]) << (128 - drawn[1]), drawn[1])
)


@pytest.mark.parametrize(
    ("suffix", "result"),
    [
        ("1:0:0/96", "2001:db8:1:2:0:1::/96"),
        ("2:0:0/96", "2001:db8:1:2:0:2::/96"),
        ("2:0:a", "2001:db8:1:2:0:2:0:a"),
        ("1:2:3:4", "2001:db8:1:2:1:2:3:4"),
        ("a", "2001:db8:1:2::a"),
    ],
)
def test_a_suffix_is_appended_with_a_double_colon(suffix, result):
    assert str(in_prefix(PREFIX, suffix)) == result


@given(prefixes, addresses | networks)
def test_what_is_appended_lies_inside_the_prefix(prefix, suffix):
    made = in_prefix(prefix, str(suffix))
    network = IPv6Network(made) if suffix.length is None else made
    assert isinstance(network, IPv6Network)
    assert network.subnet_of(prefix)


@given(prefixes, addresses | networks)
def test_a_suffix_can_be_read_back_from_the_address(prefix, suffix):
    made = in_prefix(prefix, str(suffix))
    address = made if isinstance(made, IPv6Address) else made.network_address
    assert int(address) - int(prefix.network_address) == suffix.bits
    assert parse_suffix(str(suffix)) == suffix


@given(prefixes, networks | addresses, networks | addresses)
def test_suffixes_overlap_exactly_when_their_networks_do(prefix, one, other):
    made = [IPv6Network(in_prefix(prefix, str(suffix))) for suffix in (one, other)]
    assert one.overlaps(other) == made[0].overlaps(made[1])


@given(st.integers(1, 128), st.integers(0, 2**128 - 1), st.none() | st.integers(0, 128))
def test_a_suffix_that_reaches_into_the_prefix_is_refused(length, bits, net_length):
    prefix = IPv6Network((0, length))
    host_bits = 128 - length
    suffix = Suffix(bits if net_length is None else bits >> (128 - net_length) << (128 - net_length), net_length)
    assume(suffix.bits >> host_bits or (net_length is not None and net_length < length))
    with pytest.raises(AddressError):
        in_prefix(prefix, str(suffix))


@given(st.text(alphabet="0123456789abcdefg:/.- \n٣", max_size=20) | st.text())
def test_any_text_is_a_suffix_or_an_address_error(text):
    try:
        suffix = parse_suffix(text)
    except AddressError as error:
        assert "write" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert parse_suffix(str(suffix)) == suffix


@pytest.mark.parametrize(
    "text", ["", "2:0:0", "2:0:1/96", "0:0/96", "1:0:0:0:0/96", "2:0:0/64", "2:0:0/120", "2::/96", "2:0:0/x"]
)
def test_a_container_network_must_be_a_network_inside_the_64(text):
    with pytest.raises(AddressError, match="write"):
        container_net(text)


@pytest.mark.parametrize("text", ["2:0:0/96", "1:2:0:0:a", "2::a", "2001:db8::1", "2:0:A"])
def test_a_container_address_must_be_an_address_inside_the_64(text):
    with pytest.raises(AddressError, match="write"):
        container_address(text)


def test_a_suffix_is_respelt_without_leading_zeros():
    assert container_address("0:2:0:000a") == "2:0:a"


@pytest.mark.parametrize(("number", "text"), [(7210, "2:0:10"), (3600, "1:0:0"), (59, None), (0, None), (-7, None)])
def test_a_suffix_that_yaml_read_as_base_60_is_recognised(number, text):
    assert unquoted(number) == text


def plan(prefix):
    return make_plan(
        prefix,
        bridge="1:0:0/96",
        net="2:0:0/96",
        web="2:0:a",
        ipv4_net="172.30.0.0/24",
        statics={"haproxy": "2:0:a", "mail": "2:0:b"},
    )


def test_a_plan_holds_every_address_of_a_server():
    made = plan(PREFIX)
    assert made.bridge == "2001:db8:1:2:0:1::/96"
    assert made.net == "2001:db8:1:2:0:2::/96"
    assert made.net_gateway == "2001:db8:1:2:0:2:0:1"
    assert made.web == made.statics["haproxy"] == "2001:db8:1:2:0:2:0:a"
    assert made.statics["mail"] == "2001:db8:1:2:0:2:0:b"
    assert (made.ipv4_gateway, made.ipv4_range) == ("172.30.0.1", "172.30.0.128/25")


def test_without_a_prefix_only_ipv4_is_planned():
    made = plan(None)
    assert made.ipv4_net == "172.30.0.0/24"
    assert (made.prefix, made.bridge, made.net, made.net_gateway, made.net_range, made.web) == (None,) * 6
    assert made.statics == {}


@given(st.integers(0, 2**64 - 1).map(lambda bits: IPv6Network((bits << 64, 64))))
def test_docker_never_hands_out_a_gateway_or_a_static_address(prefix):
    made = plan(str(prefix))
    dynamic = IPv6Network(made.net_range)
    assert dynamic.subnet_of(IPv6Network(made.net))
    assert not any(IPv6Address(fixed) in dynamic for fixed in (made.net_gateway, *made.statics.values()))
    ipv4 = IPv4Network(made.ipv4_range)
    assert ipv4.subnet_of(IPv4Network(made.ipv4_net))
    assert IPv4Address(made.ipv4_gateway) not in ipv4


@given(networks.filter(lambda net: 72 <= (net.length or 0) <= 112 and net.bits > 0))
def test_no_container_network_holds_the_host_s_own_address(net):
    held = IPv6Network(in_prefix(PREFIX, container_net(str(net))))
    assert IPv6Address(own_address(PREFIX)) not in held
