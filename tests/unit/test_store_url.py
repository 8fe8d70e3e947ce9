"""The store's URL, read once: which servers, as whom, and what is refused."""

import pytest

from bff.config.store_url import StoreKind, StoreUrl, parse_store_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("memory:", StoreUrl(kind=StoreKind.MEMORY)),
        ("redis://a", StoreUrl(kind=StoreKind.STANDALONE, addresses=(("a", 6379),))),
        (
            "rediss://us%40er:p%3A%2F@a.b:1/3",
            StoreUrl(
                kind=StoreKind.STANDALONE,
                addresses=(("a.b", 1),),
                tls=True,
                username="us@er",
                password="p:/",
                database=3,
            ),
        ),
        (
            "redis://:p:w@[::1]:7",
            StoreUrl(kind=StoreKind.STANDALONE, addresses=(("::1", 7),), password="p:w"),
        ),
        (
            "redis+sentinel://:pw@a,b:2,10.0.0.1:3/main-1/4",
            StoreUrl(
                kind=StoreKind.SENTINEL,
                addresses=(("a", 26379), ("b", 2), ("10.0.0.1", 3)),
                password="pw",
                master="main-1",
                database=4,
            ),
        ),
        (
            "rediss+cluster://u:p@a:1,b/",
            StoreUrl(
                kind=StoreKind.CLUSTER,
                addresses=(("a", 1), ("b", 6379)),
                tls=True,
                username="u",
                password="p",
            ),
        ),
    ],
)
def test_a_store_is_named_by_its_url(text: str, url: StoreUrl) -> None:
    assert parse_store_url(text) == url
    assert not {"p:/", "p:w", "pw"} & set(repr(url).replace("'", " ").split())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("redis:a", id="no authority"),
        pytest.param("redis://", id="no host"),
        pytest.param("redis://a,b", id="two servers and no word of how they belong together"),
        pytest.param("redis://a:0", id="no port at all"),
        pytest.param("redis://a:65536", id="no such port"),
        pytest.param("redis://a:²", id="a digit that is none"),
        pytest.param("redis://user@a", id="a user without a password"),
        pytest.param("redis://a/1/2", id="two databases"),
        pytest.param("redis://a/-1", id="a database below the first"),
        pytest.param("redis://a?ssl_cert_reqs=none", id="an option"),
        pytest.param("redis://a#b", id="a fragment"),
        pytest.param("redis://a\n", id="a line end"),
        pytest.param("redis://a b", id="a blank"),
        pytest.param("redissss://a", id="another scheme"),
        pytest.param("unix:///tmp/redis", id="a path"),
        pytest.param("redis+sentinel://a", id="sentinels without the master's name"),
        pytest.param("redis+sentinel://a//0", id="an empty name"),
        pytest.param("redis+sentinel://a,,b/main", id="an empty host"),
        pytest.param("redis+cluster://a/1", id="a cluster has one database"),
    ],
)
def test_what_is_no_store_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        parse_store_url(text)


@pytest.mark.parametrize(
    ("text", "replicas"),
    [("redis://a", 0), ("redis+sentinel://a/main", 1), ("redis+cluster://a", 1)],
)
def test_replicas_are_waited_for_where_there_are_some(text: str, replicas: int) -> None:
    assert parse_store_url(text).replicas == replicas
