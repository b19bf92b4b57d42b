"""The flat list of what a stack runs, equal to compose.yaml's services: names, commands, environment, readiness."""

import sys
from collections.abc import Iterable, Mapping
from typing import Final

from contracts import topics
from stack import jars, kafka, postgres
from stack.errors import SettingsError
from stack.java import find_java, for_spark
from stack.keys import ensure_demo_key
from stack.layout import Layout
from stack.part import Launch, Part, Report
from stack.probes import http_ready, postgres_ready
from stack.settings import HOST, REPOSITORY, StackSettings

ORDER: Final = ("kafka", "postgres", "gateway", "processing", "serving", "watch", "simulator")
"""Starting order; stopping is the reverse."""


def build_parts(settings: StackSettings, layout: Layout, environ: Mapping[str, str]) -> dict[str, Part]:
    """Every part by name, in starting order. Nothing is started or fetched yet."""
    environ = dict(environ)
    common = common_environment(settings, layout)
    parts = (
        kafka.part(settings, layout, environ, topics.ALL),
        postgres.part(settings, layout) if settings.postgres_url is None else None,
        _gateway(settings, layout, common),
        _processing(settings, layout, common, environ),
        _serving(settings, layout, common),
        _watch(settings, layout, common),
        _simulator(settings, layout, common),
    )
    return {part.name: part for part in parts if part is not None}


def select(parts: Mapping[str, Part], only: Iterable[str], *, demo: bool) -> list[Part]:
    """The parts to run: those named in `only` (all if none), without the simulator unless `demo`.

    Raises SettingsError for a name that is no part.
    """
    wanted = set(only)
    if unknown := sorted(wanted - set(parts)):
        raise SettingsError(f"No such part: {', '.join(unknown)}. The parts are {', '.join(parts)}.")
    if not wanted:
        wanted = set(parts) if demo else set(parts) - {"simulator"}
    return [part for name, part in parts.items() if name in wanted]


def urls(settings: StackSettings) -> dict[str, str]:
    """Where people and programs find the stack."""
    serving = f"http://{HOST}:{settings.port('serving')}"
    gateway = f"http://{HOST}:{settings.port('gateway')}"
    return {"page": f"{serving}/", "graphql": f"{serving}/graphql", "gateway": gateway}


def common_environment(settings: StackSettings, layout: Layout) -> dict[str, str]:
    """What every part, and every tool that talks to the stack, is told."""
    return {
        "MILLRACE_HOME": str(layout.home),
        "MILLRACE_KAFKA_BOOTSTRAP": settings.kafka_address,
        "MILLRACE_POSTGRES_URL": postgres.url(settings, layout, port=settings.postgres_via_port),
        "MILLRACE_LOG_PATH": str(layout.delta),
        "PYTHONPATH": str(REPOSITORY),
        # Logs are read while they are written.
        "PYTHONUNBUFFERED": "1",
    }


def tool_environment(settings: StackSettings, layout: Layout) -> dict[str, str]:
    """What `python -m loadtest` needs to reach this stack."""
    return {
        **common_environment(settings, layout),
        "MILLRACE_SIMULATOR_GATEWAY_URL": urls(settings)["gateway"],
        "MILLRACE_SIMULATOR_WRITE_KEY": ensure_demo_key(layout),
        "MILLRACE_GRAPHQL_URL": urls(settings)["graphql"],
    }


def spark_environment(
    settings: StackSettings, layout: Layout, environ: Mapping[str, str], report: Report
) -> dict[str, str]:
    """What `python -m processing` needs to start Spark; fetches its jars if they are not there."""
    java = find_java(environ, settings.java_home)
    return {
        "JAVA_HOME": str(for_spark(java, layout.java)),
        "MILLRACE_PROCESSING_JARS": str(jars.ensure("spark", settings.cache, java, report, settings.ivy_settings)),
    }


def _stage(layout: Layout, module: str, *arguments: str, env: Mapping[str, str]) -> Launch:
    return Launch((sys.executable, "-m", module, *arguments), env, folder=layout.home)


def _gateway(settings: StackSettings, layout: Layout, common: Mapping[str, str]) -> Part:
    port = settings.port("gateway")

    def prepare(_: Report) -> Launch:
        ensure_demo_key(layout)
        env = {
            "MILLRACE_GATEWAY_HOST": HOST,
            "MILLRACE_GATEWAY_PORT": str(port),
            "MILLRACE_GATEWAY_KEYS_FILE": str(layout.keys_file),
            "MILLRACE_GATEWAY_WORKERS": str(settings.gateway_workers),
        }
        return _stage(layout, "ingestion", env={**common, **env})

    return Part(
        name="gateway",
        prepare=prepare,
        probe=lambda: http_ready(f"http://{HOST}:{port}/health/ready"),
        port=port,
        listeners={"gateway": port},
        # It waits for the broker by itself, and says so; its own start is not worth waiting for.
    )


def _processing(settings: StackSettings, layout: Layout, common: Mapping[str, str], environ: Mapping[str, str]) -> Part:
    port = settings.port("processing")

    def prepare(report: Report) -> Launch:
        env = {
            **spark_environment(settings, layout, environ, report),
            "MILLRACE_PROCESSING_PORT": str(port),
            "MILLRACE_PROCESSING_CHECKPOINT": str(layout.checkpoint),
        }
        return _stage(layout, "processing", env={**common, **env})

    return Part(
        name="processing",
        prepare=prepare,
        probe=lambda: http_ready(f"http://{HOST}:{port}/health/ready"),
        port=port,
        listeners={"processing": port},
        # Spark takes longer to start than the broker, and waits for it by itself.
        needs=("postgres",),
    )


def _serving(settings: StackSettings, layout: Layout, common: Mapping[str, str]) -> Part:
    port = settings.port("serving")
    env = {"MILLRACE_SERVING_HOST": HOST, "MILLRACE_SERVING_PORT": str(port)}
    return Part(
        name="serving",
        prepare=lambda _: _stage(layout, "serving", env={**common, **env}),
        probe=lambda: http_ready(f"http://{HOST}:{port}/health/ready"),
        port=port,
        listeners={"serving": port},
        needs=("postgres",),
    )


def _watch(settings: StackSettings, layout: Layout, common: Mapping[str, str]) -> Part:
    port = settings.port("watch")
    return Part(
        name="watch",
        prepare=lambda _: _stage(layout, "processing.watch", env={**common, "MILLRACE_WATCH_PORT": str(port)}),
        probe=lambda: http_ready(f"http://{HOST}:{port}/health/ready"),
        port=port,
        listeners={"watch": port},
        needs=("postgres",),
    )


def _simulator(settings: StackSettings, layout: Layout, common: Mapping[str, str]) -> Part:
    def prepare(_: Report) -> Launch:
        env = {
            **common,
            **tool_environment(settings, layout),
            "MILLRACE_SIMULATOR_RATE": str(settings.demo_events_per_second),
        }
        if settings.demo_seed is not None:
            env["MILLRACE_SIMULATOR_SEED"] = str(settings.demo_seed)
        return _stage(layout, "loadtest", "simulate", env=env)

    return Part(
        name="simulator",
        prepare=prepare,
        # It listens nowhere; that its process lives is all there is to see.
        probe=lambda: None,
        needs=("gateway", "processing", "serving"),
    )


def postgres_reachable(settings: StackSettings) -> str | None:
    """Where the settings name a server of one's own: None if it answers, else why not."""
    return None if settings.postgres_url is None else postgres_ready(settings.postgres_url.get_secret_value())
