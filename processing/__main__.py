"""`python -m processing`: build the real objects, run the stream until SIGTERM. With a verb: `processing.cli`.

Exit codes: 0 stopped on request; 1 a fault that needs a person (the message says what to do); 2 a bad setting.
"""

import structlog

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
from processing.projections import build_projections
from processing.results import ResultsPublisher
from processing.running import run_module, when_asked
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


def run(settings: Settings) -> None:
    """Run the part until it is asked to stop. Raises FatalError."""
    options = settings.processing
    metrics = EpochMetrics()
    stream: Stream | None = None
    serve_health(
        options.host,
        options.port,
        metrics.registry,
        lambda: stream.not_ready if stream else "starting Spark and warming up",
    )
    store = Store(settings.postgres)
    _claim(store)
    registry = load_registry()
    spark = build_spark(options, options.checkpoint.parent / "scratch")
    warm_up(
        spark,
        registry=registry,
        checkpoint=f"{options.checkpoint}/warm-up",
        seconds=options.warm_up_seconds,
    )
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
    tallies = TallyWatch(settings.kafka, settings.postgres)
    stream = Stream(spark, runner, options, settings.kafka, metrics, tallies=tallies)
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

    when_asked(stream.stop)
    background.start()
    try:
        stream.run()
    finally:
        background.stop()
        if results is not None:
            results.close()
        tallies.close()
        store.close()
        spark.stop()


def _claim(store: Store) -> None:
    """Be the store's processor before Spark is started, which takes longer than all else. Raises FatalError.

    A database that does not answer yet is no fault: the stream asks it again and again.
    """
    try:
        store.claim()
    except FatalError:
        raise
    except Exception as error:
        log.warning("store_away", error=f"{type(error).__name__}: {error}"[:1000])


if __name__ == "__main__":
    run_module("processing", Settings, run, app)
