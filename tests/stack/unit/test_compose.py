"""compose.yaml: well-formed, the same parts as `millrace up`, and no setting that nobody reads."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from contracts.settings import KafkaSettings, LogSettings, PartSettings, PostgresSettings, ShopSettings
from ingestion.settings import GatewaySettings
from loadtest.settings import SimulatorSettings
from processing.settings import ProcessingSettings
from processing.watch.settings import WatchSettings
from serving.settings import ServingSettings
from stack.cli import app
from stack.jars import ROOTS
from stack.parts import ORDER, urls
from stack.settings import REPOSITORY, StackSettings

pytestmark = pytest.mark.unit

SETTINGS: tuple[type[PartSettings], ...] = (
    GatewaySettings,
    KafkaSettings,
    LogSettings,
    PostgresSettings,
    ProcessingSettings,
    ServingSettings,
    ShopSettings,
    SimulatorSettings,
    StackSettings,
    WatchSettings,
)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    text = (REPOSITORY / "compose.yaml").read_text("utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def test_the_file_has_the_shape_of_the_compose_specification(compose: dict[str, Any]) -> None:
    schema = json.loads((Path(__file__).parent.parent / "data" / "compose.schema.json").read_text("utf-8"))
    faults = [f"{list(fault.path)}: {fault.message}" for fault in Draft202012Validator(schema).iter_errors(compose)]
    assert faults == []


def test_there_is_one_service_per_part_and_one_for_all_that_a_stack_does_beside_them(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*ORDER, "prepare", "clerk", "prometheus", "cache"}
    assert {name for name, service in compose["services"].items() if "profiles" in service} == {"cache"}


def test_every_service_that_listens_has_a_health_check(compose: dict[str, Any]) -> None:
    without = {name for name, service in compose["services"].items() if "healthcheck" not in service}
    assert without == {"prepare", "clerk", "simulator"}


def test_requests_are_done_where_the_commands_that_do_them_find_what_they_need(compose: dict[str, Any]) -> None:
    clerk, gateway, serving, processing = (
        compose["services"][name] for name in ("clerk", "gateway", "serving", "processing")
    )
    assert clerk["command"][:3] == ["python", "-m", "stack"]
    assert CliRunner().invoke(app, [*clerk["command"][3:], "--help"]).exit_code == 0
    settings = StackSettings()
    assert urls(settings)["gateway"] == f"http://127.0.0.1:{gateway['environment']['MILLRACE_GATEWAY_PORT']}"
    assert clerk["network_mode"] == "service:gateway", "it has no other address for the gateway"
    keys, log = "keys:/var/lib/millrace", "delta:/var/lib/millrace/delta"
    assert clerk["volumes"] == [keys, log], "a key is made to send with, and files of the log are written anew"
    assert log in processing["volumes"]
    assert {f"{keys}:ro", f"{log}:ro"} == set(serving["volumes"])
    assert clerk["environment"]["MILLRACE_STACK_POSTGRES_URL"] == clerk["environment"]["MILLRACE_POSTGRES_URL"]


def test_what_a_service_waits_for_and_mounts_is_declared(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in compose["services"], name
            if how["condition"] == "service_healthy":
                assert "healthcheck" in compose["services"][needed], name
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert source in compose["volumes"] or (REPOSITORY / source).is_file(), f"{name}: {mount}"


def test_no_service_runs_as_root_and_images_have_a_version(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["user"] not in ("root", "0", "0:0"), name
        assert re.search(r":v?\d+(\.\d+)*$", service["image"]), name


def test_the_broker_is_the_one_whose_jars_are_pinned(compose: dict[str, Any]) -> None:
    version = ROOTS["kafka"][0].rpartition(":")[2]
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{version}"


def test_every_variable_of_ours_is_a_setting_that_a_part_reads(compose: dict[str, Any]) -> None:
    known = {"MILLRACE_HOME"} | {
        f"{part.model_config['env_prefix']}{name}".upper() for part in SETTINGS for name in part.model_fields
    }
    for name, service in compose["services"].items():
        ours = {key for key in service.get("environment", {}) if key.startswith("MILLRACE_")}
        assert ours <= known, name


def test_what_is_left_empty_is_not_set(compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    told = compose["services"]["serving"]["environment"]
    for name in (name for name, value in told.items() if str(value).endswith(":-}")):
        monkeypatch.setenv(name, "")
    settings = ServingSettings()
    assert settings.keys_file is None
    assert settings.shared_cache_url.get_secret_value() == ""


def test_the_example_environment_names_exactly_the_variables_that_are_asked_for(compose: dict[str, Any]) -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+):\?", (REPOSITORY / "compose.yaml").read_text("utf-8")))
    example = (REPOSITORY / "deploy" / "compose.env.example").read_text("utf-8")
    assert asked == set(re.findall(r"^([A-Z_]+)=", example, flags=re.MULTILINE))


def test_the_image_holds_every_package_and_every_target_that_is_built(compose: dict[str, Any]) -> None:
    recipe = (REPOSITORY / "deploy" / "Dockerfile").read_text("utf-8")
    for service in compose["services"].values():
        if "build" in service:
            assert f" AS {service['build']['target']}\n" in recipe
        if service.get("command", [None])[0] == "python":
            package = service["command"][2].partition(".")[0]
            assert f"COPY {package} " in recipe


def test_prometheus_reads_the_ports_that_the_parts_listen_on(compose: dict[str, Any]) -> None:
    read = yaml.safe_load((REPOSITORY / "deploy" / "prometheus" / "prometheus.yml").read_text("utf-8"))
    for job in read["scrape_configs"]:
        name, port = job["static_configs"][0]["targets"][0].split(":")
        if name != "localhost":
            environment = compose["services"][name]["environment"]
            assert environment[f"MILLRACE_{name.upper()}_PORT"] == port
