"""`python -m processing`: build the real objects, run the stream until SIGTERM. With a verb: `processing.cli`.

Exit codes: 0 stopped on request; 1 a fault that needs a person (the message says what to do); 2 a bad setting.
"""

import signal
import sys
from types import FrameType

import structlog
from pydantic import ValidationError

from contracts.logging import configure_logging
from contracts.settings import setting_faults
from processing.background import Background, Turn
from processing.cli import app
from processing.decode import Decoder
from processing.deltas import DuckDeltas
from processing.enrichment.enrich import Enricher
from processing.epoch import EpochRunner
from processing.errors import FatalError
from processing.event_log import EventLog
from processing.health import serve_health
from processing.judge import Judge
from processing.maintenance.retention import kept_for
from processing.maintenance.rolling import RollUps
from processing.metrics import EpochMetrics
from processing.progress import ProgressListener
from processing.projections import build_projections
from processing.results import ResultsPublisher
from processing.settings import Settings
from processing.spark import build_spark
from processing.store import Store
from processing.stream import Stream
from processing.tallies import TallyWatch
from processing.verification.schedule import verify_turn
from processing.warmup import warm_up
from schemas_avro import load_registry

log = structlog.get_logger()

_QUIETLY = ("--background", "--json")


def main() -> int:
    """Run the part."""
    configure_logging("processing")
    try:
        settings = Settings()
    except ValidationError as error:
        for key, fault in setting_faults(error):
            log.error("bad_setting", key=key, fault=fault)  # noqa: TRY400 - the key says all
        return 2
    options = settings.processing
    metrics = EpochMetrics()
    stream: Stream | None = None
    serve_health(
        options.host,
        options.port,
        metrics.registry,
        lambda: stream.not_ready if stream else "starting Spark and warming up",
    )
    registry = load_registry()
    spark = build_spark(options, options.checkpoint.parent / "scratch")
    warm_up(
        spark,
        registry=registry,
        checkpoint=f"{options.checkpoint}/warm-up",
        seconds=options.warm_up_seconds,
    )
    spark.streams.addListener(ProgressListener(metrics))
    store = Store(settings.postgres)
    results = ResultsPublisher(settings.kafka, metrics.undelivered.inc) if options.publish_results else None
    projections = build_projections(settings.shop)
    roll_ups = RollUps(
        store,
        projections,
        settings.shop,
        metrics.maintenance,
        kept=kept_for(options.keep_minutes_days, options.keep_conversions_days, options.keep_paths_days),
        again_seconds=options.roll_up_again_seconds,
    )
    runner = EpochRunner(
        store=store,
        event_log=EventLog(settings.log.path, options.log_interval_seconds),
        decoder=Decoder(registry),
        judge=Judge(settings.shop),
        enricher=Enricher(),
        engine=DuckDeltas(),
        projections=projections,
        shop=settings.shop,
        settings=options,
        metrics=metrics,
        results=results,
        roll_ups=roll_ups,
    )
    stream = Stream(
        spark, runner, options, settings.kafka, metrics, tallies=TallyWatch(settings.kafka, settings.postgres)
    )
    background = Background(
        [
            verify_turn(options.verify_interval_seconds, metrics.verify),
            Turn(("gold", *_QUIETLY), options.gold_interval_seconds, metrics.maintenance.observe_gold),
            Turn(
                ("report", "--due", "--background"), options.report_interval_seconds, metrics.maintenance.observe_report
            ),
            Turn(("compact", *_QUIETLY), options.compact_interval_seconds, metrics.maintenance.observe_compact),
        ]
    )

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stream.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    background.start()
    try:
        stream.run()
    except FatalError as error:
        log.error("stopped", reason=str(error))  # noqa: TRY400 - the reason is the message, not a trace
        return 1
    finally:
        background.stop()
        if results is not None:
            results.close()
        store.close()
        spark.stop()
    log.info("stopped", reason="asked to")
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        configure_logging("processing")
        app(prog_name="python -m processing")
    sys.exit(main())
