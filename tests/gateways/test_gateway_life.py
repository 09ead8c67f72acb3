"""The life of `mcp-acl gateway`: what keeps it from starting, what it follows while it runs, and that nothing of it is left."""

import http.client
import importlib.util
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcp_acl.cli import app
from tests.certificates import Certified
from tests.gateways.commands import (
    FORECASTS,
    FORMS,
    SECONDS,
    Gateway,
    Recording,
    ask,
    call,
    environment_of_tests,
    free_port,
    gateway,
    processes_of,
    recording,
    started,
    until,
)
from tests.gateways.signing import Issuer
from tests.gateways.upstreams import chunked, event, listing, upstream

in_both_forms = pytest.mark.parametrize("form", FORMS)


@pytest.fixture(scope="module")
def server() -> Iterator[Recording]:
    with recording() as found:
        yield found


def tools_of(running: Gateway) -> list[str]:
    reply = ask(running.port, "/weather/mcp", call("tools/list")).reply
    return [one["name"] for one in reply["result"]["tools"]]


def child(directory: Path, program: str) -> int:
    """The process of a gateway whose command line begins like this."""
    (found,) = (line for line in processes_of(directory) if Path(line.split()[1]).name.startswith(program))
    return int(found.split()[0])


def is_clean(directory: Path) -> bool:
    return not processes_of(directory) and not [*(directory / "tmp").iterdir()]


# ---- the end --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sign", "form"), [(signal.SIGTERM, FORMS[0]), (signal.SIGINT, FORMS[0]), (signal.SIGTERM, FORMS[1])]
)
def test_signal_ends_all_of_it_with_0(
    tmp_path: Path, policies: Path, server: Recording, sign: signal.Signals, form: str
) -> None:
    with gateway(tmp_path, policies, [f"weather={server.url}"], form=form) as running:
        assert ["forecast"] == tools_of(running)
        running.process.send_signal(sign)
        assert 0 == running.ended()
        assert is_clean(tmp_path)


@in_both_forms
def test_stream_that_never_ends_does_not_keep_it(tmp_path: Path, policies: Path, form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/mcp"
        with gateway(tmp_path, policies, [f"weather={url}"], form=form) as running:
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=SECONDS)
            connection.request("GET", "/weather/mcp", headers={"Accept": "text/event-stream"})
            assert "HTTP GET" == running.seen("HTTP GET")["method"]
            running.process.terminate()
            assert 0 == running.ended()
            connection.close()
    assert is_clean(tmp_path)


@in_both_forms
def test_what_is_under_way_at_the_end_is_still_filtered(tmp_path: Path, policies: Path, form: str) -> None:
    ending = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield event(listing("forecast", "delete"))
        ending.wait(SECONDS)
        yield event(listing("delete", "forecast"))

    with upstream() as server:
        server.reset(chunked(pieces(), "text/event-stream"))
        url = f"http://127.0.0.1:{server.port}/mcp"
        with (
            gateway(tmp_path, policies, [f"weather={url}"], form=form) as running,
            closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=SECONDS)) as connection,
        ):
            connection.request("GET", "/weather/mcp", headers={"Accept": "text/event-stream"})
            response = connection.getresponse()
            body = response.read1(65536)
            running.process.terminate()
            # As long as it takes to be told: what comes now comes while it drains.
            time.sleep(0.3)
            ending.set()
            body += response.read()
            assert 2 == body.count(b"forecast")
            assert b"delete" not in body
            assert 0 == running.ended()


@pytest.mark.parametrize(("program", "form"), [("envoy", FORMS[0]), ("python", FORMS[0]), ("envoy", FORMS[1])])
def test_end_of_envoy_or_of_its_keeper_is_the_end_of_all(
    tmp_path: Path, policies: Path, server: Recording, program: str, form: str
) -> None:
    with gateway(tmp_path, policies, [f"weather={server.url}"], form=form) as running:
        os.kill(child(tmp_path, program), signal.SIGKILL)
        assert 2 == running.ended()
        assert "Envoy was ended by SIGKILL; what it says is above, and the gateway has ended" in running.line()
        assert is_clean(tmp_path)


@in_both_forms
def test_nothing_is_left_when_the_command_is_killed(
    tmp_path: Path, policies: Path, server: Recording, form: str
) -> None:
    with gateway(tmp_path, policies, [f"weather={server.url}"], form=form) as running:
        running.process.kill()
        running.process.wait(SECONDS)
        until(partial(is_clean, tmp_path))


# ---- while it runs --------------------------------------------------------------------------------------------------


@in_both_forms
def test_policies_follow_their_files(tmp_path: Path, policies: Path, server: Recording, form: str) -> None:
    with gateway(tmp_path, policies, [f"weather={server.url}"], form=form) as running:
        assert ["forecast"] == tools_of(running)
        new = tmp_path / "new.yaml"
        new.write_text(FORECASTS.replace("name: forecast", "name: history"))
        new.replace(policies / "weather.yaml")
        until(lambda: tools_of(running) == ["history"])


@in_both_forms
def test_lines_are_for_people(tmp_path: Path, policies: Path, server: Recording, form: str) -> None:
    with gateway(
        tmp_path, policies, [f"weather={server.url}"], json_=False, listen=f"127.0.0.1:{free_port()}", form=form
    ) as running:
        line = running.line()
        url = line.split()[-1]
        assert line.startswith("  weather  http://127.0.0.1:")
        assert "Ctrl-C" in running.line()
        port = int(url.split(":")[2].partition("/")[0])
        ask(port, "/weather/mcp", call("tools/call", name="dele\x1b[2Jte"))
        line = running.line()
        assert "  weather  anonymous  tools/call dele\\u001b[2Jte  DENY      no_matching_rule" in line


@pytest.mark.parametrize("good", [True, False])
def test_server_over_tls_is_believed_if_its_authority_is(
    tmp_path: Path, policies: Path, certified: Certified, good: bool
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certified.cert, certified.key)
    (tmp_path / "other").mkdir()
    authority = certified.client_ca if good else Certified(tmp_path / "other").client_ca
    with recording(tls=tls) as server:
        upstreams = [f"weather={server.url.replace('127.0.0.1', 'localhost')}"]
        with gateway(tmp_path, policies, upstreams, "--upstream-ca", str(authority)) as running:
            answer = ask(running.port, "/weather/mcp", call("tools/call", name="forecast"))
            assert ((200, 1) if good else (503, 0)) == (answer.status, len(server.arrived))


def test_server_with_a_certificate_for_another_name_is_not_believed(
    tmp_path: Path, policies: Path, certified: Certified
) -> None:
    certified.renew("mcp.example.org")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certified.cert, certified.key)
    with recording(tls=tls) as server:
        upstreams = [f"weather={server.url}"]
        with gateway(tmp_path, policies, upstreams, "--upstream-ca", str(certified.client_ca)) as running:
            assert 503 == ask(running.port, "/weather/mcp", call("tools/call", name="forecast")).status
            assert [] == server.arrived


@pytest.mark.parametrize(("scheme", "form"), [("http", FORMS[0]), ("https", FORMS[0]), ("https", FORMS[1])])
def test_keys_are_fetched_from_a_url(  # noqa: PLR0913, PLR0917 - fixtures
    tmp_path: Path,
    policies: Path,
    server: Recording,
    certified: Certified,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    form: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certified.client_ca))
    issuer = Issuer()
    (tmp_path / "jwks.json").write_text(json.dumps(issuer.keys))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path))) as keys:
        if scheme == "https":
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certified.cert, certified.key)
            keys.socket = tls.wrap_socket(keys.socket, server_side=True)
        threading.Thread(target=keys.serve_forever, daemon=True).start()
        url = f"{scheme}://localhost:{keys.server_address[1]}/jwks.json"
        with gateway(tmp_path, policies, [f"weather={server.url}"], "--jwks", url, form=form) as running:
            until(lambda: ask(running.port, "/weather/mcp", call("ping"), token=issuer.token()).status == 200)
            while "ann" != running.seen("ping")["principal"]:
                continue
            assert 401 == ask(running.port, "/weather/mcp", call("ping"), token=Issuer().token()).status
        keys.shutdown()


def test_keys_that_cannot_be_fetched_make_no_token_good(tmp_path: Path, policies: Path, server: Recording) -> None:
    url = f"http://127.0.0.1:{free_port()}/jwks.json"
    with gateway(tmp_path, policies, [f"weather={server.url}"], "--jwks", url) as running:
        assert 401 == ask(running.port, "/weather/mcp", call("tools/list"), token=Issuer().token()).status


def test_server_that_is_not_there_is_told_and_503(tmp_path: Path, policies: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with gateway(tmp_path, policies, [f"weather={url}/mcp"]) as running:
        assert f"warning: `weather` does not answer at `{url}`; is it running?" in running.log
        assert 503 == ask(running.port, "/weather/mcp", call("tools/call", name="forecast")).status


# ---- what keeps it from starting ------------------------------------------------------------------------------------


def failed(policies: Path, *flags: str, form: str = FORMS[0]) -> str:
    """What is said when it does not start."""
    command = [*started(form), "--policies", str(policies), *flags]
    env = environment_of_tests()
    ended = subprocess.run(command, capture_output=True, text=True, timeout=2 * SECONDS, check=False, env=env)
    assert 2 == ended.returncode, ended.stderr
    assert "" == ended.stdout
    assert "Traceback" not in ended.stderr
    return ended.stderr


@in_both_forms
def test_port_that_is_taken_is_named(policies: Path, form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        said = failed(policies, "--upstream", "http://127.0.0.1:1/mcp", "--listen", listen, form=form)
    assert f"error: cannot listen on `{listen}`: it is in use" in said


def test_url_that_is_none_is_named(policies: Path) -> None:
    assert "error: --upstream: `localhost` is no http or https URL" in failed(policies, "--upstream", "localhost")


@in_both_forms
def test_policies_that_are_refused_are_named(policies: Path, form: str) -> None:
    (policies / "weather.yaml").write_text("version: 1\npolicy: weather\nrulez: []\n")
    said = failed(policies, "--upstream", "http://127.0.0.1:1/mcp", "--listen", "127.0.0.1:0", form=form)
    assert "rulez" in said
    assert "weather.yaml:3" in said


def test_envoy_that_is_none_is_named(policies: Path) -> None:
    flags = ("--upstream", "http://127.0.0.1:1/mcp", "--listen", "127.0.0.1:0")
    assert "error: Envoy ended with code 0" in failed(policies, *flags, "--envoy", str(shutil.which("true")))
    assert "is no program that can be run" in failed(policies, *flags, "--envoy", "/nowhere")


def test_one_process_has_an_envoy_of_its_own(policies: Path) -> None:
    said = failed(policies, "--upstream", "http://127.0.0.1:1/mcp", "--envoy", "/bin/true", form=FORMS[1])
    assert "error: --envoy: with `--one-process` Envoy is the one that its Python module was made for" in said


def test_one_process_without_the_extra_says_what_to_install(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyvoy" else find(name))
    given = ["gateway", "--policies", str(policies), "--upstream", "http://127.0.0.1:1/mcp", "--one-process"]
    ended = CliRunner().invoke(app, given)
    assert 2 == ended.exit_code
    assert "error: --one-process: Envoy is not installed beside this Python; install `mcp-acl[envoy]`" in ended.stderr
