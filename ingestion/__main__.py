"""`python -m ingestion`: run the gateway."""

import argparse
import sys

import structlog
from pydantic import ValidationError

from contracts.logging import configure_logging
from contracts.settings import KafkaSettings, ShopSettings, setting_faults
from ingestion.errors import StartRefusedError
from ingestion.settings import GatewaySettings
from ingestion.workers import await_port, supervise


def main() -> int:
    """Returns the exit code: 0 after a clean stop, 2 if it cannot start."""
    parser = argparse.ArgumentParser(
        prog="python -m ingestion",
        description="The gateway: events over HTTP into Kafka.",
        epilog="Settings come from the environment (MILLRACE_GATEWAY_*, MILLRACE_KAFKA_*, MILLRACE_SHOP_*) and from "
        "$MILLRACE_HOME/millrace.toml.",
    )
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        settings, shop, kafka = GatewaySettings(), ShopSettings(), KafkaSettings()
        configure_logging("gateway", settings.log_level)
        if not options.worker:
            await_port(settings.host, settings.port, settings.drain_seconds)
            if settings.workers > 1:
                return supervise(settings.workers)
        from ingestion.server import serve  # noqa: PLC0415 - prometheus_client picks its mode when imported, by the environment

        return serve(settings, shop, kafka, sys.stdin.fileno() if options.worker else None)
    except ValidationError as error:
        for key, fault in setting_faults(error):
            print(f"{key}: {fault}", file=sys.stderr)
    except StartRefusedError as error:
        structlog.get_logger().error("gateway_not_started", reason=str(error))
    return 2


if __name__ == "__main__":
    sys.exit(main())
