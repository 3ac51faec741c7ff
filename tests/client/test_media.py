from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from multimodel import AllTargetsFailedError, AsyncClient, Client, Completion, DeadlineExceededError
from multimodel.providers import fetch as fetching
from multimodel.providers.fetch import MOST, is_public
from multimodel.testing import FakeProvider, FaultyVendor, faults
from multimodel.testing.certificates import Authority

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
FACT = {"source": "test", "date": "2026-11-24"}
COLOURS = ["sync", "async"]


class Pictures:
    """What the server on loopback says to everybody, and what it was asked.

    :ivar length: what it says of the body's length: None is the truth, -1 nothing.
    """

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, PNG, {"content-type": "image/png"}
        self.length: int | None = None
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.wait = threading.Event()
        self.wait.set()
        self.port = 0


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Pictures]:
    state = Pictures()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            if state.length != -1:
                self.send_header("content-length", str(len(state.body) if state.length is None else state.length))
            self.end_headers()
            self.wfile.write(state.body[:4])
            self.wfile.flush()
            state.wait.wait(20)
            self.wfile.write(state.body[4:])

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002  # its name in the base class

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that leaves is no news
        server.daemon_threads = True
        state.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            state.wait.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def pictures() -> Iterator[Pictures]:
    with serving() as state:
        yield state


@pytest.fixture
def vendor() -> Iterator[FaultyVendor]:
    with FaultyVendor(answer="A picture.") as running:
        yield running


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = fetching._Rules(
        allowed=lambda address: address in ("127.0.0.1", "::1") or is_public(address), ports=range(65536)
    )
    monkeypatch.setattr(fetching, "_rules", rules)


@pytest.fixture
def any_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_rules", fetching._Rules(ports=range(65536)))


def policy_for(vendor: FaultyVendor, by_value: list[str] | None = None, **route: Any) -> dict[str, Any]:
    profile = {
        "name": "seer",
        "title": "Seer",
        "operator": "seer",
        "protocols": {"chat": {"wire": "openai_chat"}},
        "protocol": "chat",
        "quirks": {"by_value": ["image"] if by_value is None else by_value, "video_url": True},
        "fact": FACT,
    }
    provider = {"profile": profile, "base_url": vendor.openai_url, "api_key": "k"}
    return {"providers": {"seer": provider}, "routes": {"chat": {"chain": ["seer:m"], "fetch_media": True, **route}}}


def looking_at(url: str, kind: str = "image") -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": kind, "url": url}]}]


def ask(colour: str, policy: dict[str, Any], messages: list[dict[str, Any]], **options: Any) -> Completion[Any]:
    if colour == "sync":
        with Client(policy) as client:
            return client.complete("chat", messages, **options)

    async def main() -> Completion[Any]:
        async with AsyncClient(policy) as client:
            return await client.complete("chat", messages, **options)

    return asyncio.run(main())


def refusal(colour: str, policy: dict[str, Any], messages: list[dict[str, Any]]) -> str:
    with pytest.raises(AllTargetsFailedError) as caught:
        ask(colour, policy, messages)
    assert caught.value.attempts == ()
    return str(caught.value.exceptions[0])


# --- what is fetched ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("colour", COLOURS)
def test_a_picture_by_address_reaches_a_vendor_that_takes_bytes(
    colour: str, host: str, pictures: Pictures, vendor: FaultyVendor
):
    assert (
        ask(colour, policy_for(vendor), looking_at(f"http://{host}:{pictures.port}/a.png?size=1")).text == "A picture."
    )
    ((path, headers),) = pictures.asked
    assert path == "/a.png?size=1"
    assert headers["host"] == f"{host}:{pictures.port}"
    assert headers.keys() == {"host", "user-agent", "accept", "accept-encoding"}
    sent = vendor.log[0].messages[0]["content"][1]
    assert sent == {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"},
    }


@pytest.mark.usefixtures("loopback")
def test_what_two_attempts_need_is_fetched_once(pictures: Pictures, vendor: FaultyVendor):
    vendor.script([faults.refusal("server_error"), None])
    ask("sync", policy_for(vendor), looking_at(f"http://127.0.0.1:{pictures.port}/a.png"))
    assert vendor.requests == 2
    assert len(pictures.asked) == 1


@pytest.mark.usefixtures("loopback")
def test_a_call_with_a_rule_about_places_fetches_nothing(pictures: Pictures, vendor: FaultyVendor):
    policy = policy_for(vendor)
    policy["providers"]["seer"] |= {"stored_in": ["DE"], "inference_in": ["DE"]}
    with pytest.raises(AllTargetsFailedError) as caught:
        ask("sync", policy, looking_at(f"http://127.0.0.1:{pictures.port}/a.png"), residency={"storage": ["EU"]})
    assert len(caught.value.report.skipped) == 1
    assert (pictures.asked, vendor.requests) == ([], 0)


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("colour", COLOURS)
def test_who_is_switched_off_while_a_picture_is_fetched_for_it_gets_nothing(
    colour: str, pictures: Pictures, vendor: FaultyVendor, tmp_path: Path
):
    policy = {**policy_for(vendor), "switch_file": str(tmp_path / "multimodel.off.json")}

    def switch_off() -> None:
        while not pictures.asked:
            pictures.wait.wait(0.01)
        with Client(policy) as operator:
            operator.off("seer", reason="licence")
        pictures.wait.set()

    pictures.wait.clear()
    threading.Thread(target=switch_off).start()
    with pytest.raises(AllTargetsFailedError) as caught:
        ask(colour, policy, looking_at(f"http://127.0.0.1:{pictures.port}/a.png"))
    assert [skip.reason for skip in caught.value.report.skipped] == ["off"]
    assert vendor.bytes_received == 0


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("colour", COLOURS)
def test_the_next_address_of_a_name_is_tried_when_the_first_takes_nobody(
    colour: str, pictures: Pictures, vendor: FaultyVendor, monkeypatch: pytest.MonkeyPatch
):
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in ("two.example", b"two.example"):
            return real(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in ("::1", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert ask(colour, policy_for(vendor), looking_at(f"http://two.example:{pictures.port}/a.png")).text
    assert len(pictures.asked) == 1


@pytest.mark.usefixtures("loopback")
def test_certificates_are_read_once_for_all_media(vendor: FaultyVendor, monkeypatch: pytest.MonkeyPatch):
    made: list[object] = []
    real = httpx2.create_ssl_context
    monkeypatch.setattr(httpx2, "create_ssl_context", lambda **options: made.append(1) or real(**options))
    for _ in range(2):
        assert "failed" in refusal("sync", policy_for(vendor), looking_at("https://127.0.0.1:9/a.png"))
    assert len(made) <= 1


@pytest.mark.usefixtures("loopback")
def test_a_sound_and_a_document_by_address_reach_a_vendor_of_openais_format(pictures: Pictures, vendor: FaultyVendor):
    pictures.headers = {"content-type": "audio/wav; rate=8000"}
    policy = policy_for(vendor, ["audio", "file"])
    ask("sync", policy, looking_at(f"http://127.0.0.1:{pictures.port}/a", "audio"))
    assert vendor.log[-1].messages[0]["content"][1]["input_audio"]["format"] == "wav"
    pictures.headers = {"content-type": "application/pdf"}
    ask("sync", policy, looking_at(f"http://127.0.0.1:{pictures.port}/a", "file"))
    assert vendor.log[-1].messages[0]["content"][1]["file"]["file_data"].startswith("data:application/pdf;base64,")


@pytest.mark.usefixtures("loopback")
def test_what_the_vendor_takes_by_address_is_not_fetched(pictures: Pictures, vendor: FaultyVendor):
    url = f"http://127.0.0.1:{pictures.port}/a.png"
    ask("sync", policy_for(vendor, []), looking_at(url))
    assert pictures.asked == []
    assert vendor.log[0].messages[0]["content"][1]["image_url"] == {"url": url}


@pytest.mark.parametrize("colour", COLOURS)
def test_over_https_the_certificate_must_be_that_of_the_name(
    colour: str, vendor: FaultyVendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    authority = Authority()
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(authority.pem)
    monkeypatch.setattr(fetching, "_rules", fetching._Rules(lambda _address: True, trusted, range(65536)))
    with serving(authority.server_context()) as pictures:
        assert ask(colour, policy_for(vendor), looking_at(f"https://localhost:{pictures.port}/a.png")).text
    with serving(authority.server_context("wrong_host")) as pictures:
        why = refusal(colour, policy_for(vendor), looking_at(f"https://localhost:{pictures.port}/a.png"))
        assert "the connection failed" in why
        assert pictures.asked == []


# --- what is not ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3", "172.16.0.1", "192.168.0.1", "127.0.0.1", "127.9.9.9", "0.0.0.0", "100.64.0.1", "169.254.169.254",
        "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1",
        "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "::ffff:10.0.0.1", "::ffff:8.8.8.8",
        "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::1", "no address", "",
        "fec0::1", "3fff::1", "4000::1", "2001:1::1", "168.63.129.16", "192.88.99.1", "192.0.0.9", "192.0.0.170",
    ],
)  # fmt: skip
def test_an_address_that_is_not_the_whole_internets_is_refused(address: str):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_a_public_address_is_one(address: str):
    assert is_public(address)


@pytest.mark.usefixtures("any_port")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"])
@pytest.mark.parametrize("colour", COLOURS)
def test_an_address_of_this_machine_is_never_connected_to(
    colour: str, host: str, pictures: Pictures, vendor: FaultyVendor
):
    why = refusal(colour, policy_for(vendor), looking_at(f"http://{host}:{pictures.port}/a.png"))
    assert "not public" in why or "the connection failed" in why
    assert pictures.asked == []
    assert vendor.requests == 0


@pytest.mark.usefixtures("any_port")
@pytest.mark.parametrize("colour", COLOURS)
def test_a_name_with_one_address_that_is_not_public_is_refused_and_looked_up_once(
    colour: str, pictures: Pictures, vendor: FaultyVendor, monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in ("mixed.example", b"mixed.example"):
            return real(host, port, *args, **kwargs)
        asked.append("mixed.example")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in ("8.8.8.8", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    why = refusal(colour, policy_for(vendor), looking_at(f"http://mixed.example:{pictures.port}/a.png"))
    assert "not public" in why
    assert asked == ["mixed.example"]
    assert pictures.asked == []


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"status": 302, "headers": {"location": "http://127.0.0.1:9/", "content-type": "image/png"}}, "no redirect"),
        ({"status": 404}, "status 404"),
        ({"headers": {"content-type": "text/html"}}, "content type `text/html`"),
        ({"headers": {}}, "content type ``"),
        ({"headers": {"content-type": "image/png", "content-encoding": "gzip"}}, "encoding"),
        ({"length": MOST + 1}, "larger than 20 MB"),
    ],
)
@pytest.mark.parametrize("colour", COLOURS)
def test_what_is_no_picture_of_a_sensible_size_is_not_taken(
    colour: str, changed: dict[str, Any], why: str, pictures: Pictures, vendor: FaultyVendor
):
    vars(pictures).update(changed)
    assert why in refusal(colour, policy_for(vendor), looking_at(f"http://127.0.0.1:{pictures.port}/a.png"))
    assert len(pictures.asked) == 1
    assert vendor.requests == 0


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("colour", COLOURS)
def test_a_body_that_does_not_tell_its_length_is_cut_off_at_the_same_size(
    colour: str, pictures: Pictures, vendor: FaultyVendor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fetching, "MOST", len(PNG) - 1)
    pictures.length = -1
    assert "larger than" in refusal(colour, policy_for(vendor), looking_at(f"http://127.0.0.1:{pictures.port}/a.png"))


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("colour", COLOURS)
def test_all_media_of_a_call_have_a_size_together(
    colour: str, pictures: Pictures, vendor: FaultyVendor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fetching, "MOST_A_CALL", 2 * len(PNG))
    url = f"http://127.0.0.1:{pictures.port}/"
    messages = [{"role": "user", "content": [{"type": "image", "url": url + name} for name in "aab"]}]
    assert ask(colour, policy_for(vendor), messages).text
    messages[0]["content"] = [{"type": "image", "url": url + name} for name in "abc"]
    assert "larger than 50 MB" in refusal(colour, policy_for(vendor), messages)


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("colour", COLOURS)
def test_what_was_fetched_as_a_document_is_no_picture(colour: str, pictures: Pictures, vendor: FaultyVendor):
    pictures.headers = {"content-type": "application/pdf"}
    url = f"http://127.0.0.1:{pictures.port}/a"
    messages = [{"role": "user", "content": [{"type": kind, "url": url} for kind in ("file", "image")]}]
    assert "none of a part of type `image`" in refusal(colour, policy_for(vendor, ["image", "file"]), messages)


@pytest.mark.parametrize("url", ["http://8.8.8.8:22/a", "https://8.8.8.8:8443/a", "http://[2606:4700::1]:6379/a"])
def test_only_the_ports_of_the_web_are_connected_to(url: str, vendor: FaultyVendor):
    assert "port" in refusal("sync", policy_for(vendor), looking_at(url))


@pytest.mark.parametrize(
    "url", ["ftp://e.com/a.png", "file:///etc/passwd", "http://u:p@e.com/a.png", "oss://b/a.png", "a"]
)
def test_only_http_without_a_password_is_fetched(url: str, vendor: FaultyVendor):
    assert "http or https" in refusal("sync", policy_for(vendor), looking_at(url))


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("colour", COLOURS)
def test_a_picture_that_does_not_come_costs_no_more_than_the_attempt_has(
    colour: str, pictures: Pictures, vendor: FaultyVendor
):
    pictures.wait.clear()
    policy = policy_for(vendor, timeouts={"first_content": "300ms"})
    assert "in time" in refusal(colour, policy, looking_at(f"http://127.0.0.1:{pictures.port}/a.png"))
    with pytest.raises(DeadlineExceededError):
        ask(colour, policy_for(vendor), looking_at(f"http://127.0.0.1:{pictures.port}/a.png"), deadline=0.8)
    assert vendor.requests == 0


# --- without `fetch_media` ------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", COLOURS)
def test_by_default_nothing_is_fetched_and_the_target_is_skipped_with_a_hint(
    colour: str, pictures: Pictures, vendor: FaultyVendor
):
    policy = policy_for(vendor, fetch_media=False)
    with pytest.raises(AllTargetsFailedError) as caught:
        ask(colour, policy, looking_at(f"http://127.0.0.1:{pictures.port}/a.png"))
    (error,) = caught.value.exceptions
    assert "it takes image by value only" in str(error)
    assert "`fetch_media: true`" in (error.hint or "")
    assert [skip.reason for skip in caught.value.report.skipped] == ["capability"]
    assert pictures.asked == []
    assert vendor.requests == 0


@pytest.mark.parametrize(
    ("kind", "need"), [("image", "vision"), ("audio", "audio"), ("video", "video"), ("file", "file")]
)
def test_a_model_without_the_modality_is_skipped_before_any_socket(kind: str, need: str):
    profile = {
        "name": "blind", "title": "Blind", "adapter": "http", "protocols": {"chat": {"wire": "openai_chat"}},
        "protocol": "chat", "models": {"m": {"modalities": ["text"], "fact": FACT}}, "fact": FACT,
    }  # fmt: skip
    fake = FakeProvider(["No."])
    providers = {"blind": {"profile": profile, "base_url": "http://127.0.0.1:9/v1", "api_key": "k"}}
    policy = {"providers": providers, "routes": {"chat": {"chain": ["blind:m"]}}}
    with Client(policy, providers={"blind": fake}) as client, pytest.raises(AllTargetsFailedError) as caught:
        client.complete("chat", looking_at("https://e.com/a", kind))
    assert f"it has no {need}" in str(caught.value.exceptions[0])
    assert fake.attempts == []
