"""The server: what it answers, and everything that it refuses."""

from __future__ import annotations

import asyncio
import gc
import io
import struct
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from codeclens.errors import CodeclensError
from codeclens.explorer import LiveNetwork, RunFolder
from codeclens.explorer.explorer_server import POLICY, ExplorerServer, serve
from codeclens.explorer.uploads import MOST_BYTES, encoded, read_upload

PORT = 8123
HOST = f"http://127.0.0.1:{PORT}"


class Client:
    """Asks the application as a browser on the same machine would."""

    def __init__(self, server: ExplorerServer) -> None:
        self.server = server
        self.app = server.app()

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self.at(method, path, **options))

    async def at(self, method: str, path: str, *, token: bool = True, **options: Any) -> Any:
        transport = httpx.ASGITransport(app=self.app, client=("127.0.0.1", 1))
        cookies = {f"codeclens-{PORT}": self.server.token} if token else {}
        async with httpx.AsyncClient(transport=transport, base_url=HOST, cookies=cookies) as client:
            return await client.request(method, path, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.ask("GET", path, **options)

    def post(self, path: str, given: Any, **options: Any) -> httpx.Response:
        return self.ask("POST", path, json=given, **options)

    def done(self, key: str) -> dict[str, Any]:
        for _ in range(600):
            found = self.get(f"/api/jobs/{key}").json()
            if found["state"] not in ("waiting", "running"):
                return dict(found)
            time.sleep(0.05)
        raise AssertionError("the job did not end")


@pytest.fixture
def client(run: RunFolder, live: LiveNetwork) -> Iterator[Client]:
    server = ExplorerServer(run, live)
    yield Client(server)
    server.jobs.close()


def png(wide: int = 20, high: int = 16) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (high, wide, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def bomb(wide: int, high: int) -> bytes:
    """A PNG of a few bytes that says that it has many pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", wide, high, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_the_page_has_a_policy_without_inline_scripts(client: Client) -> None:
    found = client.get("/")
    assert found.status_code == 200
    assert found.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY.split("style-src")[0]
    assert "<script>" not in found.text
    assert "HttpOnly" in found.headers["set-cookie"]
    assert client.get("/explorer.js").headers["content-type"].startswith("text/javascript")


def test_views_pictures_and_maps(client: Client) -> None:
    assert client.get("/api/view/overview").json()["samples"] == 60
    assert client.get("/api/view/mode/3/0").json()["mode"] == 0
    picture = client.get("/api/picture/4?side=96")
    assert Image.open(io.BytesIO(picture.content)).size == (12, 12)
    assert len(client.get("/api/maps/3/0").json()["maps"][0]) == 8
    assert client.get("/api/about").json()["uploads"] is True


def test_a_picture_is_explained_and_its_modes_are_switched(client: Client) -> None:
    key = client.ask("POST", "/api/upload", content=png()).json()["picture"]
    job = client.post("/api/explain", {"picture": key, "sites": ["3"]}).json()["job"]
    found = client.done(job)
    assert found["state"] == "done"
    assert found["result"]["picture"].startswith("data:image/png;base64,")
    mode = found["result"]["sites"][0]["terms"][0]["mode"]
    given = {"job": job, "site": "3", "factors": {str(mode): 0}}
    switched = client.post("/api/switch", given).json()
    term = found["result"]["sites"][0]["terms"][0]
    fallen = switched["target_before"] - switched["target_after"]
    assert fallen == pytest.approx(term["effect"], abs=1e-4)
    assert sum(one["probability"] for one in switched["after"]) == pytest.approx(1, abs=1e-5)


def test_notes_are_written(client: Client, run: RunFolder) -> None:
    given = {"site": "3", "mode": 2, "name": "bars"}
    assert client.ask("PUT", "/api/notes", json=given).json()["name"] == "bars"
    assert run.notes.names("3") == {2: "bars"}


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1:1", ""])
def test_another_host_is_refused(client: Client, host: str) -> None:
    found = client.get("/api/view/overview", headers={"Host": host})
    assert (found.status_code, "127.0.0.1" in found.json()["error"]) == (403, True)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"http://127.0.0.1:{PORT + 1}"])
def test_another_origin_is_refused(client: Client, origin: str) -> None:
    found = client.post("/api/explain", {"row": 0}, headers={"Origin": origin})
    assert found.status_code == 403
    same = client.get("/api/view/overview", headers={"Origin": HOST})
    assert same.status_code == 200
    cross = client.get("/", headers={"Sec-Fetch-Site": "cross-site"})
    assert cross.status_code == 403


def test_without_the_token_nothing_is_told(client: Client) -> None:
    for path in ("/", "/explorer.js", "/api/view/overview", "/api/picture/0", "/nothing"):
        assert client.get(path, token=False).status_code == 403
        assert client.get(f"{path}?token=wrong", token=False).status_code == 403
    with_token = client.get(f"/api/view/overview?token={client.server.token}", token=False)
    assert with_token.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml", "/..%2f..%2fetc%2fpasswd", "/explorer.js/../../run_views.py",
        "/api/view/..%2f..%2f..%2fetc%2fpasswd", "/api/view/modes/..%2f..%2fmodes",
        "/api/maps/..%2f..%2fetc/0", "/api/picture/-1", "/api/picture/99999999999999999999",
        "/static/explorer.js", "/api/view/%00", "/api/view/mode/3/%ff",
    ],
)  # fmt: skip
def test_no_path_reaches_the_files(client: Client, path: str) -> None:
    found = client.get(path)
    assert found.status_code in (400, 404)
    assert "root:" not in found.text
    assert "[project]" not in found.text


def test_bombs_and_what_is_no_picture_are_refused_in_one_sentence(client: Client) -> None:
    for data, said in (
        (bomb(60_000, 60_000), "3,600,000,000|pixels"), (bomb(9_000, 9_000), "pixels"),
        (b"", "cannot be read"), (b"<svg/>", "cannot be read"), (png()[:60], "cannot be read"),
        (b"%PDF-1.4", "cannot be read"), (b"\0" * (MOST_BYTES + 1), "larger than"),
    ):  # fmt: skip
        found = client.ask("POST", "/api/upload", content=data)
        assert found.status_code == 400
        assert any(part in found.json()["error"] for part in said.split("|")), found.text
    assert client.get("/api/view/overview").status_code == 200


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("/api/explain", []), ("/api/explain", {}), ("/api/explain", {"row": "1"}),
        ("/api/explain", {"row": True}), ("/api/explain", {"row": -1}),
        ("/api/explain", {"row": 60}), ("/api/explain", {"picture": "no"}),
        ("/api/explain", {"row": 0, "sites": ["/etc"]}), ("/api/explain", {"row": 0, "sites": 3}),
        ("/api/explain", {"row": 0, "target": "cat"}), ("/api/explain", {"row": 0, "erased": "x"}),
        ("/api/switch", {"job": "no", "site": "3", "factors": {}}), ("/api/switch", {"job": 3}),
    ],
)  # fmt: skip
def test_wrong_requests_are_one_sentence(client: Client, path: str, given: Any) -> None:
    found = client.post(path, given)
    assert found.status_code == 400
    assert found.json()["error"].endswith((".", "again."))
    assert "Traceback" not in found.text


def test_what_is_not_json_is_refused(client: Client) -> None:
    kind = {"content-type": "application/json"}
    for content, headers in (
        (b"{", kind),
        (b"[" * 100_000, kind),
        (b"{}", {}),
        (b"9" * 500_000, kind),
    ):
        found = client.ask("POST", "/api/explain", content=content, headers=headers)
        assert (found.status_code, "error" in found.json()) == (400, True)
    assert client.ask("DELETE", "/api/view/overview").status_code == 405


def test_factors_out_of_range_are_refused(client: Client) -> None:
    job = client.post("/api/explain", {"row": 1, "sites": ["3"]}).json()["job"]
    assert client.done(job)["state"] == "done"
    for factors in ({"0": 1e9}, {"0": "x"}, {"0": None}, {"x": 1}, {"99": 1}, {"0": True}, []):
        given = {"job": job, "site": "3", "factors": factors}
        assert client.post("/api/switch", given).status_code == 400
    assert client.post("/api/switch", {"job": job, "site": "1", "factors": {}}).status_code == 400


def test_a_job_is_cancelled_and_the_next_one_runs(client: Client, live: LiveNetwork) -> None:
    first = client.post("/api/explain", {"row": 1, "sites": ["1", "3"]}).json()["job"]
    second = client.post("/api/explain", {"row": 2, "sites": ["3"]}).json()["job"]
    assert client.ask("DELETE", f"/api/jobs/{first}").status_code == 200
    assert client.done(first)["state"] in ("cancelled", "done")
    assert client.done(second)["state"] == "done"


def test_without_the_network_views_remain_and_the_reason_is_told(run: RunFolder) -> None:
    client = Client(ExplorerServer(run, None, "The weights are not here."))
    assert client.get("/api/view/modes/3").status_code == 200
    assert client.get("/api/about").json() == {
        "live": False, "reason": "The weights are not here.", "uploads": False, "outputs": None,
    }  # fmt: skip
    for found in (client.get("/api/picture/0"), client.post("/api/explain", {"row": 0})):
        assert found.json()["error"] == "The weights are not here."


def test_two_hundred_parallel_requests_and_flat_memory(client: Client) -> None:
    async def many() -> list[int]:
        paths = ["/api/view/modes/3", "/api/view/mode/3/1", "/api/picture/3", "/api/view/sample/1"]
        asked = [client.at("GET", paths[n % len(paths)]) for n in range(200)]
        return [found.status_code for found in await asyncio.gather(*asked)]

    assert set(asyncio.run(many())) == {200}
    gc.collect()
    tracemalloc.start()
    sizes = []
    for _ in range(3):
        for _ in range(12):
            client.ask("POST", "/api/upload", content=png(64, 64))
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    # Uploads make room for each other.
    assert len(client.server._uploads) == 8
    assert sizes[2] - sizes[1] < 200_000


def test_a_real_server_outlives_clients_that_leave(run: RunFolder, live: LiveNetwork) -> None:
    import socket

    server = ExplorerServer(run, live)
    address: list[str] = []
    stop: list[Any] = []
    begun = threading.Event()

    def ready(at: str, worker: Any) -> None:
        address.append(at)
        stop.append(worker)
        begun.set()

    thread = threading.Thread(target=serve, args=(server,), kwargs={"ready": ready}, daemon=True)
    thread.start()
    assert begun.wait(20)
    base, _, token = address[0].partition("/?token=")
    port = int(base.rpartition(":")[2])
    for sent in (
        b"",
        b"GET / HTTP/1.1\r\nHost: 127",
        b"POST /api/upload?token=%b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
        b"Content-Length: 1000000\r\n\r\nabc" % (token.encode(), port),
        b"\xff\x00" * 2000,
    ):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(sent)
    found = httpx.get(f"{base}/api/view/overview?token={token}", timeout=20)
    assert found.status_code == 200
    assert found.headers["x-content-type-options"] == "nosniff"
    with pytest.raises(CodeclensError, match="taken"):
        serve(server, port=port)
    stop[0].should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def test_pictures_keep_their_sides() -> None:
    assert read_upload(png(30, 20)).size == (30, 20)
    large = np.zeros((500, 400, 3), np.uint8)
    large[..., 0] = 200
    data, kind = encoded(large, 96)
    assert (kind, max(Image.open(io.BytesIO(data)).size)) == ("image/jpeg", 96)
