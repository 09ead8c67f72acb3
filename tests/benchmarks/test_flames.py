"""Flame graphs: what samplers write becomes frames by module and function, each cost is in one layer, and nothing of the machine is drawn."""

from xml.etree import ElementTree as ET

import pytest
from benchmarks import stacks
from benchmarks.flame_graph import Node, shares, svg
from benchmarks.stacks import Sample, Seen, layer_of, of_perf, of_pyspy, of_python

PYSPY = """\
thread (7): MainThread;_Inside.__call__ (mcp_acl/hosts/envoy/inside.py:73);check (mcp_acl/adapters/grpc_api.py);run (<condition>:1) 30
thread (7): MainThread;_Inside.__call__ (mcp_acl/hosts/envoy/inside.py:73);_PyEval (libpython3.11.so.1.0);write (libc.so.6) 10
thread (8);_RNvMs1r_NtNtCs4wLOXvGINXZ_5pyvoy4asgi6pythonNtB6_12SendCallable21___pymethod___call____ (pyvoy/_pyvoy.abi3.so) 1
a line that is none
"""
PERF = """\
   9
\tffffffff815eb7a6 tcp_sendmsg ([kernel.kallsyms])
\tffffffff815eb7a6 __x64_sys_writev ([kernel.kallsyms])
\t          61930 Envoy::Http::ConnectionImpl<Envoy::A>::send(int) (/somewhere/of/a/machine/envoy)
\t          61930 [unknown] (/usr/lib/x86_64-linux-gnu/libc.so.6)

   9
\t          61930 [unknown] (/usr/lib/x86_64-linux-gnu/libc.so.6)
"""


def test_what_pyspy_writes_is_read() -> None:
    assert list(of_pyspy(PYSPY)) == [
        Sample(
            7,
            (
                "mcp_acl.hosts.envoy.inside:_Inside.__call__",
                "mcp_acl.adapters.grpc_api:check",
                "mcp_acl.expr:a condition",
            ),
            30,
            "MainThread",
        ),
        Sample(7, ("mcp_acl.hosts.envoy.inside:_Inside.__call__", "libc:write"), 10, "MainThread"),
        Sample(8, ("pyvoy._pyvoy:SendCallable.__pymethod___call____",), 1),
    ]


def test_what_perf_writes_is_read_and_the_kernel_is_one_frame() -> None:
    assert list(of_perf(PERF)) == [
        Sample(9, ("libc", "envoy:Envoy::Http::ConnectionImpl::send", "kernel:writev"), 1),
        Sample(9, ("libc",), 1),
    ]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ("run (/opt/a b/lib/python3.11/site-packages/grpc/aio/_server.py:12)", "grpc.aio._server:run"),
        ("f (/opt/someone/secret/place.py)", "place:f"),
        ("run (uvloop/loop.pyx:12)", "uvloop:run"),
        ("0x7f0000000000 (libc.so.6)", "libc"),
        ("JSONDecoder_decode (msgspec/_core.cpython-311-x86_64-linux-gnu.so)", "msgspec._core:JSONDecoder_decode"),
    ],
)
def test_frames_have_no_paths(frame: str, said: str) -> None:
    (found,) = of_pyspy(f"thread (1);{frame} 1")
    assert found.stack == (said,)


def test_the_innermost_frame_that_has_a_layer_says_it() -> None:
    host = "mcp_acl.hosts.asgi:Application._method"
    assert layer_of((host,)) == "host"
    assert layer_of((host, "mcp_acl.engine.decision:decide", "mcp_acl.mcp.headers:version", "libc:memcpy")) == "MCP"
    assert layer_of((host, "mcp_acl.enginelike:decide")) == "host"
    assert layer_of(("libc:write",)) == layer_of(()) == stacks.TRANSPORT
    assert set(stacks.MEANS) == set(stacks.LAYERS)


def test_a_threads_cost_is_divided_as_it_was_seen_and_nothing_is_lost() -> None:
    seen = Seen("envoy", {7: "python", 9: "worker"}, {7: 100.0, 9: 50.0}, of_python(list(of_pyspy(PYSPY)), {7}))
    found = [(name, cost) for name, _, cost in seen.stacks()]
    assert sorted(found) == [("MainThread", 25.0), ("MainThread", 75.0), ("worker", 50.0)]
    assert sum(cost for _, cost in found) == seen.cost


def test_calls_to_the_kernel_cost_what_the_system_has_counted_and_not_how_often_they_were_seen() -> None:
    poll, work = Sample(7, ("libc:epoll_pwait",), 90), Sample(7, ("mcp_acl.mcp.message:parse",), 10)
    seen = Seen("grpcio", {7: "python"}, {7: 100.0}, [poll, work], {7: 0.25})
    assert [(one, cost) for _, one, cost in seen.stacks()] == [(poll, 25.0), (work, 75.0)]


def test_how_the_process_was_started_is_left_out() -> None:
    start = "_run_code (<frozen runpy>:88);<module> (mcp_acl/__main__.py:7);run_forever (loop.c:1);uv_run (core.c:1);Handle__run (loop.c:1)"
    (found,) = of_pyspy(f"thread (1);{start};check (mcp_acl/adapters/grpc_api.py:56) 1")
    assert found.stack == ("mcp_acl.adapters.grpc_api:check",)


def test_the_graph_is_one_drawing_that_asks_for_nothing_and_says_every_cost() -> None:
    root = Node("all")
    root.add([("<b>&\x1b[2J", "host"), ("inner", "MCP")], 60.0)
    root.add([("<b>&\x1b[2J", "host")], 30.0)
    root.add([("outer", "MCP"), ("hardly", "MCP")], 0.01)
    found = svg("a title", "of something", root, shares([("host", 30.0), ("MCP", 60.01)], ["host", "MCP"]), "µs")
    drawing = ET.fromstring(found)  # noqa: S314 - our own
    titles = [one.text or "" for one in drawing.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[1:] == ["all: 90.0 µs, 100.0%", "<b>&\\u001b[2J: 90.0 µs, 100.0%", "inner: 60.0 µs, 66.7%"]
    texts = [one.text for one in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a title", "host 33%", "MCP 67%", "inner"} <= set(texts)
    assert "href" not in found
    assert "url(" not in found
