"""Forms: as browsers, the OpenAI clients and curl send them, and broken in every way."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.signal.errors import RequestRefused
from edge.signal.multipart import read_form

TYPE = "multipart/form-data; boundary=xyz"
CHROME = (
    b'--xyz\r\nContent-Disposition: form-data; name="sdp"\r\n\r\nv=0\r\ns=-\r\n\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="session"\r\n\r\n{"a":1}\r\n--xyz--\r\n'
)
PYTHON = (
    b'--xyz\r\nContent-Disposition: form-data; name="sdp"\r\nContent-Type: application/sdp\r\n\r\nv=0\r\ns=-\r\n\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="session"\r\nContent-Type: application/json\r\n\r\n{"a":1}\r\n'
    b"--xyz--\r\n"
)
CURL = (
    b'--xyz\r\nContent-Disposition: form-data; name="session"; filename="a;b.json"\r\nContent-Type: application/json'
    b'\r\n\r\n{"a":1}\r\n--xyz\r\nContent-Disposition: form-data; filename="offer"; name=sdp\r\n'
    b"Content-Type: application/octet-stream\r\n\r\nv=0\r\ns=-\r\n\r\n--xyz--"
)


@pytest.mark.parametrize("body", [CHROME, PYTHON, CURL])
@pytest.mark.parametrize(
    "content_type",
    [
        TYPE,
        'multipart/form-data; boundary="xyz"',
        "Multipart/Form-Data; charset=utf-8; Boundary=xyz",
    ],
)
def test_the_shapes_of_real_clients(body, content_type):
    assert read_form(content_type, body) == {"sdp": b"v=0\r\ns=-\r\n", "session": b'{"a":1}'}


def test_what_stands_around_the_parts_is_ignored():
    body = b"hello\r\n" + CHROME.replace(b"--xyz\r\n", b"--xyz \t\r\n") + b"--xyz\r\nbye"
    assert set(read_form(TYPE, body)) == {"sdp", "session"}


def test_content_is_kept_byte_for_byte():
    content = bytes(range(256)) + b"\r\n--xy\r\n-- xyz\n--xyz"
    body = b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + content + b"\r\n--xyz--"
    assert read_form(TYPE, body) == {"a": content}


def test_a_part_that_is_multipart_itself_is_a_field_like_any_other():
    inner = b'--in\r\nContent-Disposition: form-data; name="sdp"\r\n\r\nv=0\r\n--in--'
    body = (
        b'--xyz\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: multipart/mixed; boundary=in\r\n\r\n'
        + inner
        + b"\r\n--xyz--"
    )
    assert read_form(TYPE, body) == {"a": inner}


PART = b'--xyz\r\nContent-Disposition: form-data; name="%d"\r\n\r\n\r\n'


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("multipart/form-data", CHROME, "names no boundary"),
        ("multipart/form-data; boundary=", CHROME, "names no boundary"),
        ('multipart/form-data; boundary=""', CHROME, "names no boundary"),
        ("multipart/form-data; boundary=" + "x" * 71, CHROME, "more than 70 characters"),
        ("multipart/form-data; boundary=" + "x" * 1_000_000, CHROME, "more than 70 characters"),
        ("multipart/form-data; boundary=other", CHROME, "nowhere in the body"),
        ("multipart/form-data; boundary=ü", CHROME, "nowhere in the body"),
        (TYPE, b"", "nowhere in the body"),
        (TYPE, CHROME.replace(b"\r\n", b"\n"), "not followed by a line break"),
        (TYPE, CHROME.replace(b"--xyz--", b""), "last boundary"),
        (TYPE, CHROME[:100], "last boundary"),
        (TYPE, CHROME.replace(b"--xyz\r\n", b"--xyzz\r\n"), "not followed by a line break, before part 1"),
        (TYPE, CHROME.replace(b'name="session"\r\n', b'name="session"'), "part 2 has no empty line"),
        (TYPE, CHROME.replace(b'; name="session"', b""), "part 2 has no name"),
        (TYPE, CHROME.replace(b"form-data; name", b"attachment; name"), "part 1 has no name"),
        (TYPE, CHROME.replace(b'Content-Disposition: form-data; name="sdp"\r\n', b""), "part 1 has no name"),
        (TYPE, CHROME.replace(b"session", b"sdp"), "more than one part named 'sdp'"),
        (TYPE, PYTHON.replace(b"Content-Type", b"Content-Transfer-Encoding"), "'sdp' has a Content-Transfer-Encoding"),
        (TYPE, b"".join(PART % number for number in range(17)) + b"--xyz--", "more than 16 parts"),
        (TYPE, b"".join(PART % number for number in range(1000)) + b"--xyz--", "more than 16 parts"),
        (TYPE, b"--xyz\r\n" * 8000, "not followed by a line break, before part 1"),
        (TYPE, b"--xyz\r\nx\r\n" * 8000, "more than 16 parts"),
        (TYPE, b"--xyz\r\nx\r\n--xyz--", "part 1 has no empty line"),
    ],
)
def test_a_broken_form_is_refused_with_the_place(content_type, body, words, read_failure):
    with pytest.raises(RequestRefused) as caught:
        read_form(content_type, body)
    failure = read_failure(caught.value.response)
    assert (failure.status, failure.code) == (400, "invalid_multipart")
    assert words in failure.message
    assert len(failure.message) < 300


def test_sixteen_parts_are_enough():
    assert len(read_form(TYPE, b"".join(PART % number for number in range(16)) + b"--xyz--")) == 16


SCRAPS = [
    b"--xyz",
    b"--xyz--",
    b"\r\n",
    b"\n",
    b"\r",
    b'Content-Disposition: form-data; name="sdp"',
    b"Content-Disposition: form-data; name*=utf-8''s%ff; name*0=x; name*1*=y",
    b"content-disposition:",
    b'form-data; name="',
    b"Content-Transfer-Encoding: base64",
    b": ",
    b" ",
    b"\xff\x00",
    b"v=0",
]


@given(st.lists(st.one_of(st.sampled_from(SCRAPS), st.binary(max_size=4)), max_size=30).map(b"".join))
@settings(max_examples=300, deadline=None)
def test_scraps_are_read_or_refused(body):
    try:
        fields = read_form(TYPE, body)
    except RequestRefused as refusal:
        assert refusal.response.status == 400  # noqa: PT017 - either is fine
    else:
        assert all(isinstance(name, str) for name in fields)


@given(st.text(max_size=60).filter(lambda text: not {"\r", "\n"} & set(text)))
@settings(max_examples=200, deadline=None)
def test_any_content_type_is_read_or_refused(parameters):
    try:
        read_form("multipart/form-data;" + parameters, CHROME)
    except RequestRefused as refusal:
        assert refusal.response.status == 400  # noqa: PT017 - either is fine
