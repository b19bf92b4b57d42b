"""Campaign parameters out of URLs that anybody may have written."""

from urllib.parse import quote

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.enrichment.campaigns import MAX_VALUE_LENGTH, PAID_CLICK_IDS, SOCIAL_CLICK_IDS, Campaign, campaigns_of

pytestmark = pytest.mark.unit

PAGE = "https://shop.example/p/7"


def campaign_of(url: str | None) -> Campaign | None:
    (campaign,) = campaigns_of(pa.array([url], pa.string()))
    return campaign


@pytest.mark.parametrize(
    ("query", "campaign"),
    [
        (
            "?utm_source=google&utm_medium=cpc&utm_campaign=spring&utm_term=red+shoes&utm_content=b%26w",
            Campaign("google", "cpc", "spring", "red shoes", "b&w"),
        ),
        ("?color=red&utm_campaign=a#top", Campaign(name="a")),
        ("?UTM_Source=Google", Campaign("Google")),
        ("?utm_source=one&utm_source=two", Campaign("one")),
        ("?utm_source=&utm_source=two", Campaign("two")),
        ("?utm_source=a=b", Campaign("a=b")),
        ("?a=?utm_source=b&utm_term=c", Campaign(term="c")),
        ("?utm_source=%00a%00&utm_term=%0A", Campaign("a")),
        ("?utm_source=%F0%9F%9B%92&utm_term=%FF", Campaign("🛒", term="\N{REPLACEMENT CHARACTER}")),
        ("?utm_source=%zz%", Campaign("%zz%")),
        ("?utm_source=%E4", Campaign("\N{REPLACEMENT CHARACTER}")),
        ("?utm_source=  ", None),
        ("?utm_source=%20+%20", None),
        ("?utm_source", None),
        ("?utm_source=", None),
        ("?gclid=", None),
        ("?xutm_source=a", None),
        ("?utm_sourcex=a", None),
        ("#?utm_source=a", None),
        ("#utm_source=a", None),
        ("/utm_source=a", None),
        ("&utm_source=a", None),
        ("", None),
    ],
)
def test_the_parameters_of_a_query(query: str, campaign: Campaign | None) -> None:
    assert campaign_of(PAGE + query) == campaign


@pytest.mark.parametrize("name", sorted(PAID_CLICK_IDS))
def test_an_ad_networks_click_id_says_paid(name: str) -> None:
    assert campaign_of(f"{PAGE}?a=1&{name}=x-1") == Campaign(click="paid")
    assert campaign_of(f"{PAGE}?fbclid=x&{name}=x&utm_source=a") == Campaign("a", click="paid")


@pytest.mark.parametrize("name", sorted(SOCIAL_CLICK_IDS))
def test_a_networks_id_on_every_link_says_social(name: str) -> None:
    assert campaign_of(f"{PAGE}?{name}=x") == Campaign(click="social")


@pytest.mark.parametrize("character", ["a", "%C3%A4", "%F0%9F%9B%92"])
@pytest.mark.parametrize("length", [MAX_VALUE_LENGTH - 1, MAX_VALUE_LENGTH, MAX_VALUE_LENGTH + 1])
def test_a_value_is_kept_up_to_its_limit_in_characters(character: str, length: int) -> None:
    campaign = campaign_of(f"{PAGE}?utm_campaign={character * length}")
    assert campaign is not None
    assert len(campaign.name or "") == min(length, MAX_VALUE_LENGTH)
    assert len(set(campaign.name or "")) == 1


@given(st.text(max_size=MAX_VALUE_LENGTH))
def test_what_was_encoded_comes_back_without_controls_and_outer_blanks(value: str) -> None:
    seen = "".join(character for character in value if character >= " " and character != "\x7f").strip()
    campaign = campaign_of(f"{PAGE}?utm_term={quote(value, safe='')}")
    assert (campaign.term if campaign else None) == (seen or None)


def test_each_url_gets_its_own_and_none_is_none() -> None:
    urls = [None, f"{PAGE}?utm_source=a", PAGE, f"{PAGE}?utm_source=b", f"{PAGE}?utm_source=a"]
    found = campaigns_of(pa.array(urls, pa.string()))
    assert found == [None, Campaign("a"), None, Campaign("b"), Campaign("a")]
    assert campaigns_of(pa.array([], pa.string())) == []


@given(st.text() | st.text("?&=#%+utm_sorce0\0"))
def test_any_text_gives_bounded_values_or_nothing(text: str) -> None:
    for url in (text, f"{PAGE}?{text}", f"{PAGE}?utm_source={text}&gclid={text}"):
        campaign = campaign_of(url)
        assert campaign is None or any(campaign)
        for value in campaign or ():
            assert value is None or (0 < len(value) <= MAX_VALUE_LENGTH and "\0" not in value)
