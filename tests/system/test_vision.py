"""Models that see: the projector beside a model, images in chats, and models without eyes."""

import base64
import http.server
import struct
import threading
import zlib
from pathlib import Path

import openai
import pytest

from harness import Berth

PATCHES = 16  # tokens that the tiny projector makes of a picture


def png(red: int, green: int, blue: int, side: int = 40) -> bytes:
    """A picture of one colour."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (struct.pack(">I", len(data)) + kind + data
                + struct.pack(">I", zlib.crc32(kind + data)))

    rows = (b"\0" + bytes((red, green, blue)) * side) * side
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def data_url(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


RED = data_url(png(250, 10, 10))
BLUE = data_url(png(10, 10, 250))


def messages(*images: str) -> list[dict]:
    parts = [{"type": "text", "text": "what is this"}]
    parts += [{"type": "image_url", "image_url": {"url": url}} for url in images]
    return [{"role": "user", "content": parts}]


def command_of(berth: Berth, model: str) -> list[str]:
    pid = berth.instances(model)[0]["pid"]
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")


@pytest.fixture(scope="module")
def seeing(berth: Berth, tiny_vision_folder: Path):
    """The tiny model with its projectors, deployed from their folder."""
    berth.deploy("seeing", tiny_vision_folder)
    berth.wait_ready("seeing")
    yield "seeing"
    berth.remove("seeing")


@pytest.fixture
def web_server():
    """The address of a web server, and what it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_the_most_precise_projector_of_the_folder_is_used(
        berth: Berth, seeing: str, tiny_vision_folder: Path):
    command = command_of(berth, seeing)
    assert command[command.index("--mmproj") + 1] == str(tiny_vision_folder / "mmproj-F32.gguf")
    instance = berth.instances(seeing)[0]["name"]
    assert "the projector mmproj-F32.gguf is in force: the highest precision" in berth.log(instance)


def test_an_image_in_a_chat_is_seen(client: openai.OpenAI, seeing: str):
    def ask(*images: str) -> openai.types.chat.ChatCompletion:
        return client.chat.completions.create(
            model=seeing, messages=messages(*images), max_tokens=2, temperature=0, logprobs=True,
            top_logprobs=5)

    def seen(answer: openai.types.chat.ChatCompletion) -> list[tuple[str, float]]:
        return [(top.token, round(top.logprob, 2)) for top in
                answer.choices[0].logprobs.content[0].top_logprobs]

    blind, red, blue = ask(), ask(RED), ask(BLUE)
    assert red.choices[0].message.role == "assistant"
    more = red.usage.prompt_tokens - blind.usage.prompt_tokens
    assert PATCHES <= more <= PATCHES + 8
    assert ask(RED, BLUE).usage.prompt_tokens >= red.usage.prompt_tokens + PATCHES
    assert seen(red) == seen(ask(RED))
    assert seen(red) != seen(blue), "the picture made no difference"


def test_nothing_is_fetched_from_an_address(client: openai.OpenAI, seeing: str, web_server):
    """An engine would fetch it from inside the network that it stands in."""
    address, asked = web_server
    for url in (f"{address}/a.png", f" {address}/b.png", "file:///etc/passwd"):
        with pytest.raises(openai.BadRequestError, match="must be a data URL"):
            client.chat.completions.create(model=seeing, messages=messages(url), max_tokens=1)
    assert not asked


def test_an_answer_to_an_image_streams(client: openai.OpenAI, seeing: str):
    chunks = list(client.chat.completions.create(
        model=seeing, messages=messages(RED), max_tokens=4, stream=True))
    assert chunks[-1].choices[0].finish_reason in ("length", "stop")


@pytest.mark.parametrize("content", [b"", b"no picture", png(1, 2, 3)[:40]])
def test_what_is_no_picture_is_refused(client: openai.OpenAI, seeing: str, content: bytes):
    with pytest.raises(openai.APIStatusError) as refused:
        client.chat.completions.create(model=seeing, messages=messages(data_url(content)),
                                       max_tokens=2)
    assert 400 <= refused.value.status_code < 500, refused.value


def test_a_model_without_a_projector_says_so(client: openai.OpenAI, tiny: str):
    with pytest.raises(openai.APIStatusError) as refused:
        client.chat.completions.create(model=tiny, messages=messages(RED), max_tokens=2)
    assert refused.value.status_code == 400, refused.value
    assert "this model takes no images" in refused.value.message


def test_the_user_names_another_projector(
        berth: Berth, deployed, client: openai.OpenAI, tiny_vision_folder: Path):
    name = deployed("other-eyes", tiny_vision_folder, "--", "--mmproj", "mmproj-F16.gguf")
    berth.wait_ready(name)
    command = command_of(berth, name)
    assert command.count("--mmproj") == 1
    assert command[command.index("--mmproj") + 1] == str(tiny_vision_folder / "mmproj-F16.gguf")
    assert client.chat.completions.create(model=name, messages=messages(RED), max_tokens=2).choices


def test_the_user_wants_none(berth: Berth, deployed, client: openai.OpenAI,
                             tiny_vision_folder: Path):
    name = deployed("blind", tiny_vision_folder, "--", "--no-mmproj")
    berth.wait_ready(name)
    assert "--mmproj" not in command_of(berth, name)
    with pytest.raises(openai.APIStatusError) as refused:
        client.chat.completions.create(model=name, messages=messages(RED), max_tokens=2)
    assert 400 <= refused.value.status_code < 500, refused.value


@pytest.mark.parametrize("named, said", [
    ("absent.gguf", "no such projector"), ("../../../etc/passwd", "leads outside"),
    ("model-F16.gguf", "no such projector")])
def test_a_projector_that_is_not_the_model_s_is_refused(
        berth: Berth, tiny_vision_folder: Path, named: str, said: str):
    refused = berth.cli("deploy", "x", "--model", tiny_vision_folder, "--", "--mmproj", named,
                        check=False)
    assert refused.returncode != 0
    assert said in refused.stderr


def test_inspect_says_which_projector_and_why(berth: Berth, tiny_vision_folder: Path):
    text = berth.cli("inspect", tiny_vision_folder).stdout
    assert "mmproj-F32.gguf" in text and "the highest precision (F32) of the 2 that fit" in text
    assert "mmproj-F32.gguf has a higher precision (F32 over F16)" in text
    own = berth.cli("inspect", tiny_vision_folder / "mmproj-F16.gguf").stdout
    for word in ("LLaVA", "mlp", "images, 56×56 in patches of 14×14, 2 blocks, to 64 elements", "F16"):
        assert word in own, word
