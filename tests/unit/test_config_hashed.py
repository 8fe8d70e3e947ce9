"""Names that hold a hash, as bundlers write them; and names of people, which hold none."""

import base64
import fnmatch
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.config.hashed import DEFAULT, LONGEST, is_hashed, parse_template


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("assets/index-CSliV9zW.js", id="Vite, Rollup and SvelteKit"),
        pytest.param("assets/index-B4-vKx_e.css", id="a hash with signs in it"),
        pytest.param("assets/index-CSliV9zW.js.map", id="a source map"),
        pytest.param("_nuxt/DyX3kPq1.js", id="Nuxt, nothing but the hash"),
        pytest.param("_astro/index.DyX3kPq1.css", id="Astro"),
        pytest.param("static/js/main.8d9f7c3a.js", id="Create React App"),
        pytest.param("static/js/2.8d9f7c3a.chunk.js", id="a chunk of it"),
        pytest.param("main.3d2f1a9c8b7e6d5f.js", id="webpack and older Angular"),
        pytest.param("d41d8cd98f00b204e980.png", id="an asset of webpack"),
        pytest.param("index.4a6f2b1c.js", id="Parcel"),
        pytest.param("chunk-FHTVLMYM.js", id="esbuild, letters only"),
        pytest.param("styles-5INURTSO.css", id="Angular"),
        pytest.param("media/inter-latin-3PQXBJ2Y.woff2", id="a font of it"),
        pytest.param("_next/static/chunks/4bd1b696-a1c8c5fbd5ae1a17.js", id="Next, exported"),
        pytest.param("workbox-1d305bb8.js", id="Workbox"),
    ],
)
def test_a_hash_is_seen(path: str) -> None:
    assert is_hashed(DEFAULT, path)


@pytest.mark.parametrize(
    "path",
    [
        "index.html", "favicon.svg", "sw.js", "service-worker.js", "manifest.webmanifest",
        "robots.txt", "assets/user-settings.js", "assets/my-calendar.css", "jquery-3.7.1.min.js",
        "bootstrap.min.css", "report-20240115.pdf", "photo-image001.jpg", "intro-section1.png",
        "app-Version2.js", "doc-V2-draft.pdf", "doc-v1-Final.pdf", "IMG_0042.jpg", "SECURITY.md",
        "CHAPTER2.pdf", "dist-MyWidget.js", "docs-iPhone12.png", "logo-defaced.svg", "deadbeef",
        "a-facade.js", "apple-touch-icon-180x180.png", "de-DE.json", "11111111.png",
        "assets/CSliV9zW/index.js",
    ],
)  # fmt: skip
def test_a_name_that_people_give_is_no_hash(path: str) -> None:
    assert not is_hashed(DEFAULT, path)


def test_few_hashes_look_like_words() -> None:
    """What is missed costs a question, no more; but it should be little."""
    hashes = (hashlib.sha256(str(each).encode()).digest() for each in range(20_000))
    names = (f"index-{base64.urlsafe_b64encode(each)[:8].decode()}.js" for each in hashes)
    assert sum(is_hashed(DEFAULT, name) for name in names) > 18_000


@pytest.mark.parametrize(
    ("template", "path", "fits"),
    [
        pytest.param("assets/*", "assets/logo.svg", True, id="everything in a folder"),
        pytest.param("assets/*", "assets/img/logo.svg", False, id="and not below it"),
        pytest.param("assets/**", "assets/img/logo.svg", True, id="unless it says so"),
        pytest.param("assets/*", "old/assets/logo.svg", False, id="from the route's own folder"),
        pytest.param("*.[hash:5].js", "app.a1b2c.js", True, id="of that length"),
        pytest.param("*.[hash:5].js", "app.a1b2c3.js", False, id="of no other"),
        pytest.param("*.[hash:8].js", "user.settings.js", True, id="whatever it spells"),
        pytest.param("*_[hash].js", "app_8d9f7c3a.js", True, id="after another sign"),
        pytest.param("*-[HASH].*", "chunk-fhtvlmym.js", False, id="capitals are capitals"),
        pytest.param("*-[hash].*", "index-CSliV9zW.js/x", False, id="it is about the name"),
    ],
)
def test_a_template_reads_as_the_bundler_s(template: str, path: str, fits: bool) -> None:
    assert is_hashed((template,), path) is fits


def test_no_template_means_none() -> None:
    assert not is_hashed((), "assets/index-CSliV9zW.js")


@pytest.mark.parametrize(
    "raw",
    [
        "", "*", "**", "*.js", "*.*", "**/*", "*/app.js", "logo.png", "[hash", "[name]-[hash].js",
        "*-[hash:0].js", "*-[hash:3].js", "*-[hash:99].js", "*]-[hash].js", "/assets/*", "a//*",
        "../assets/*", "assets/./*", "assets\\*", "assets/\u00fc*", "assets/\n*",
        "a/" + "x" * LONGEST, "(a+)+[hash", "assets/", "***[",
    ],
)  # fmt: skip
def test_what_is_no_template_or_would_keep_everything_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|holds|names) "):
        parse_template(raw)


@given(
    template=st.text("ab*", min_size=1, max_size=8).filter(lambda text: "***" not in text),
    name=st.text("ab", max_size=10),
)
def test_stars_match_as_a_shell_s_do(template: str, name: str) -> None:
    folder = f"f/{template}"
    assert is_hashed((folder,), f"f/{name}") == fnmatch.fnmatchcase(name, template)


def test_no_template_makes_a_name_expensive() -> None:
    """With backtracking this would not end: every star could stop anywhere."""
    template = "a/" + "*a" * 90 + "[hash]b"
    assert not is_hashed((template,), "a/" + "a" * 250 + "c")
