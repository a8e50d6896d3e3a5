import base64
import contextlib
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from PIL import Image

from stylegan2_tf.tracking import NeptuneLog, read_offline
from stylegan2_tf.tracking.neptune_log import why_offline


@pytest.fixture(autouse=True)
def no_neptune_variables(monkeypatch):
    for variable in [name for name in os.environ if name.startswith("NEPTUNE")]:
        monkeypatch.delenv(variable)


def token(address):
    return base64.b64encode(json.dumps({"api_address": address, "api_key": "k"}).encode()).decode()


def set_server(monkeypatch, address):
    monkeypatch.setenv("NEPTUNE_API_TOKEN", token(address))
    monkeypatch.setenv("NEPTUNE_PROJECT", "lab/brains")


def fill(folder, status="finished"):
    Image.new("L", (8, 8), 7).save(folder / "secret_case_161.png")
    (folder / "model.keras").write_bytes(b"x" * 100_000)
    log = NeptuneLog(folder / "neptune")
    log.start({"batch": 64, "lr": 2e-4, "seed": 2**40, "n": True, "note": None, "path": "a b"})
    for step in range(1, 6):
        values = {"g_loss": 1 / step, "d_loss": float("nan"), "eval/swd": 0.5}
        log.scalars(values, step=step, nimg=64 * step, seconds=step)
        log.image("images", folder / "secret_case_161.png", step=step)
    log.artifact("final", folder / "model.keras")
    log.close(status)


def test_the_offline_record_is_complete_without_a_network(tmp_path, monkeypatch, capsys):
    def refuse(*args):
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    before = dict(os.environ)
    fill(tmp_path)
    assert dict(os.environ) == before
    printed = capsys.readouterr()
    (line,) = printed.out.splitlines()
    assert line.startswith("neptune: offline (NEPTUNE_API_TOKEN is not set)")
    assert f"record in {tmp_path / 'neptune'}" in line
    assert "sync" in line
    assert printed.err == ""
    (tmp_path / "model.keras").unlink()
    assert read_offline(tmp_path / "neptune") == {
        "records": 1,
        "parameters": {
            "batch": 64,
            "lr": 2e-4,
            "seed": str(2**40),
            "n": True,
            "note": "null",
            "path": "a b",
        },
        "series": {"train/g_loss": 5, "eval/swd": 5, "train/nimg": 5, "train/seconds": 5},
        "images": 5,
        "models": {"model/final": 100_000},
        "status": "finished",
    }


def test_the_record_names_neither_files_nor_the_machine(tmp_path):
    fill(tmp_path)
    for path in (tmp_path / "neptune").rglob("*"):
        content = path.read_text() if path.suffix in (".log", ".json") else ""
        assert "secret_case" not in content + path.name
        assert socket.gethostname() not in content.split()
        assert "hostname" not in content


def test_each_start_is_one_record(tmp_path):
    fill(tmp_path, "interrupted")
    fill(tmp_path)
    found = read_offline(tmp_path / "neptune")
    assert found["records"] == 2
    assert found["series"]["train/g_loss"] == 10
    assert found["status"] == "finished"


def test_a_killed_run_keeps_what_it_logged(tmp_path):
    code = (
        "import os, sys, signal; from stylegan2_tf.tracking import NeptuneLog\n"
        "log = NeptuneLog(sys.argv[1]); log.start({'batch': 4})\n"
        "for i in range(20): log.scalars({'g_loss': i}, step=i, nimg=i, seconds=i)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
    (stream,) = tmp_path.rglob("data-*.log")
    with open(stream, "a") as torn:
        torn.write('{"obj": {"type": "LogFlo')
    found = read_offline(tmp_path)
    assert found["parameters"] == {"batch": 4}
    assert found["series"]["train/g_loss"] == 20
    assert found["status"] is None


def test_an_unreachable_server_is_given_up_quickly(tmp_path, monkeypatch, capsys):
    set_server(monkeypatch, "http://127.0.0.1:9")
    begin = time.monotonic()
    fill(tmp_path)
    assert time.monotonic() - begin < 10
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("neptune: offline (http://127.0.0.1:9: URLError: ")
    assert read_offline(tmp_path / "neptune")["images"] == 5


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr("stylegan2_tf.tracking.neptune_log.CHECK_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        begin = time.monotonic()
        why = why_offline({"NEPTUNE_API_TOKEN": token(address), "NEPTUNE_PROJECT": "lab/brains"})
        assert time.monotonic() - begin < 5
    assert address in why


@contextlib.contextmanager
def web_server(status, body):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("status", "body"), [(404, b"{}"), (200, b"<html>closed</html>")])
def test_a_server_that_is_not_neptune_is_not_used(status, body):
    with web_server(status, body) as address:
        why = why_offline({"NEPTUNE_API_TOKEN": token(address), "NEPTUNE_PROJECT": "lab/brains"})
    assert why.startswith(f"{address}: ")


def test_a_server_that_the_client_refuses_falls_back(tmp_path, monkeypatch, capsys):
    with web_server(200, b'{"swagger": "2.0", "paths": {}}') as address:
        set_server(monkeypatch, address)
        assert why_offline(os.environ) is None
        begin = time.monotonic()
        fill(tmp_path)
        assert time.monotonic() - begin < 10
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("neptune: offline (")
    assert read_offline(tmp_path / "neptune")["images"] == 5


@pytest.mark.parametrize("bad", ["ANONYMOUS", "%%%", base64.b64encode(b"[]").decode(), "e30="])
def test_a_bad_token_means_offline(bad):
    why = why_offline({"NEPTUNE_API_TOKEN": bad, "NEPTUNE_PROJECT": "lab/brains"})
    assert why == "NEPTUNE_API_TOKEN can't be decoded"
    assert why_offline({"NEPTUNE_API_TOKEN": bad}) == "NEPTUNE_PROJECT is not set"


def test_an_image_that_neptune_would_drop_is_refused(tmp_path):
    log = NeptuneLog(tmp_path / "neptune")
    with open(tmp_path / "large.png", "wb") as stream:
        stream.truncate(33 * 1024**2)
    with pytest.raises(ValueError, match="under 33554432 bytes"):
        log.image("images", tmp_path / "large.png", step=1)
    log.close()


def test_an_empty_folder_holds_nothing(tmp_path):
    assert read_offline(tmp_path)["records"] == 0
