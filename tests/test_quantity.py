"""How sizes, rates, counts and switches are read."""

from fractions import Fraction

import pytest

from webhook.policy import quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("105Gi", 105 * 2**30),
        ("105GiB", 105 * 2**30),
        ("9.2GB", 9_200_000_000),
        ("9.2 GB", 9_200_000_000),
        ("1k", 1000),
        ("1Ki", 1024),
        ("2M", 2_000_000),
        ("3T", 3 * 10**12),
        ("1P", 10**15),
        ("1Pi", 2**50),
        ("1048576", 2**20),
        ("1e9", 10**9),
        ("1.5e3Gi", 1500 * 2**30),
    ],
)
def test_a_size_is_read(text, value):
    assert quantity.size_bytes(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1048575", "suffix"),
        ("12B", "suffix"),
        ("10Gb", "bits"),
        ("10Gbps", "bits"),
        ("500m", "thousandth"),
        ("-5Gi", "not a size"),
        ("NaN", "not a size"),
        ("inf", "not a size"),
        ("1e99", "absurdly large"),
        ("1e100", "not a size"),
        ("1e-3Gi", "not a size"),
        ("0Gi", "zero"),
        ("2000P", "absurdly large"),
        ("10 GB ", "not a size"),
        ("", "not a size"),
        ("٣Gi", "not a size"),
        ("9,2GB", "not a size"),
        ("1Ei", "not a size"),
    ],
)
def test_a_size_is_refused_with_the_reason(text, why):
    with pytest.raises(quantity.UnreadableError, match=why):
        quantity.size_bytes(text)


@pytest.mark.parametrize(
    ("text", "value"), [("1GiB/s", 2**30), ("1GiBps", 2**30), ("100Mi/s", 100 * 2**20), ("1.5GB/s", 1.5e9)]
)
def test_a_rate_is_read(text, value):
    assert quantity.rate_bytes_per_second(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["10Gbps", "10Gb/s", "1GiB", "1GiB/h", "/s", "100/s"])
def test_a_rate_is_refused(text):
    with pytest.raises(quantity.UnreadableError):
        quantity.rate_bytes_per_second(text)


@pytest.mark.parametrize(
    ("text", "value"), [("8.03B", 8.03e9), ("70b", 70e9), ("405e9", 405e9), ("125M", 125e6), ("1T", 1e12)]
)
def test_a_parameter_count_is_read(text, value):
    assert quantity.parameter_count(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["70", "7e99", "seven", "-7B", "7Gi", "1e17"])
def test_a_parameter_count_is_refused(text):
    with pytest.raises(quantity.UnreadableError):
        quantity.parameter_count(text)


@pytest.mark.parametrize("text", ["0", "1.5", "-1", "", "1e3", "11", "99999999999"])
def test_a_whole_number_outside_its_bounds_is_refused(text):
    with pytest.raises(quantity.UnreadableError):
        quantity.whole_number(text, 1, 10)


@pytest.mark.parametrize("text", ["-1", "", "1e3", "10.01", "nan"])
def test_a_decimal_outside_its_bounds_is_refused(text):
    with pytest.raises(quantity.UnreadableError):
        quantity.decimal_number(text, 10)


@pytest.mark.parametrize("text", ["True", "yes", "1", ""])
def test_a_switch_is_true_or_false_and_nothing_else(text):
    with pytest.raises(quantity.UnreadableError):
        quantity.switch(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (125 * 2**20, "125 MiB"),
        (9.2e9, "9.2 GB"),
        (12, "12 B"),
        (2**30, "1 GiB"),
        (10**18, "1000 PB"),
        (1_234_567, "1.23 MB"),
    ],
)
def test_bytes_are_shown_in_the_rounder_unit(value, text):
    assert quantity.human_bytes(value) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("16", Fraction(16)),
        ("500m", Fraction(1, 2)),
        ("1.5Gi", Fraction(3 * 2**29)),
        ("2e3", Fraction(2000)),
        ("1E", Fraction(10**18)),
        ("100n", Fraction(1, 10**7)),
        ("0", Fraction(0)),
    ],
)
def test_a_quantity_of_kubernetes_is_read_exactly(text, value):
    assert quantity.kubernetes_quantity(text) == value


@pytest.mark.parametrize("text", [None, "", "16 GB", "-1", "1e999", "many", {"cpu": "1"}])
def test_what_is_no_quantity_of_kubernetes_is_none(text):
    assert quantity.kubernetes_quantity(str(text)) is None
