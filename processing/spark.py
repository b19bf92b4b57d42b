"""The Spark session, with the settings that small epochs need and why."""

import os
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from processing.settings import ProcessingSettings

_SMALL_EPOCHS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.sql.ui.retainedExecutions": "1",
    "spark.ui.showConsoleProgress": "false",
    "spark.locality.wait": "0",
    # An epoch is a few thousand rows: adaptive re-planning costs more than it can save.
    "spark.sql.adaptive.enabled": "false",
    # Sketches are object aggregates; past 128 keys the default falls back to sorting.
    "spark.sql.objectHashAggregate.sortBased.fallbackThreshold": "100000",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
    # The checkpoint is scratch space, so its bookkeeping is cut to the least.
    "spark.sql.streaming.checkpoint.fileChecksum.enabled": "false",
    # Without Hadoop's native library its other ways to write a file start `chmod`, ten and more times per epoch.
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
    ),
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "spark.sql.streaming.minBatchesToRetain": "2",
    "spark.sql.streaming.numRecentProgressUpdates": "10",
    # Nobody reads the plans as text, and writing these out costs tens of milliseconds per epoch.
    "spark.sql.maxPlanStringLength": "0",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.snapshotPartitions": "1",
}


_SHORTEST_LOOK_MS = 10
_LONGEST_VALUE = 2 * 1024 * 1024  # no longer than a record may be (`contracts.topics`)
_JAVA_OPTIONS = (
    "-XX:+UseParallelGC -Duser.timezone=UTC"
    # The first compiler only: an epoch is many short tasks, and the second one takes a core for minutes to win nothing
    # that could be measured afterwards (decision 7).
    " -XX:TieredStopAtLevel=1"
    # Avro allocates what a length says before it reads: without limits, ten bytes that claim a gigabyte end the JVM.
    f" -Dorg.apache.avro.limits.string.maxLength={_LONGEST_VALUE}"
    f" -Dorg.apache.avro.limits.bytes.maxLength={_LONGEST_VALUE}"
    f" -Dorg.apache.avro.limits.collectionItems.maxLength={_LONGEST_VALUE}"
)


def build_spark(settings: ProcessingSettings, scratch: Path) -> SparkSession:
    """Start Spark. `scratch` holds its temporary files; the jars are on the driver's class path."""
    scratch.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    conf = (
        SparkConf()
        .setAppName("millrace-processing")
        .setMaster(settings.master)
        .set("spark.driver.memory", settings.driver_memory)
        .set("spark.driver.host", "127.0.0.1")
        .set("spark.driver.bindAddress", "127.0.0.1")
        .set("spark.driver.extraClassPath", f"{settings.jars}/*")
        .set("spark.sql.shuffle.partitions", str(settings.shuffle_partitions))
        # How often the broker is asked for records while there are none.
        .set("spark.sql.streaming.pollingDelay", f"{max(settings.epoch_interval_ms, _SHORTEST_LOOK_MS)}ms")
        .set("spark.local.dir", str(scratch))
        .set("spark.sql.warehouse.dir", str(scratch / "warehouse"))
        .set("spark.driver.extraJavaOptions", f"{_JAVA_OPTIONS} -Djava.io.tmpdir={scratch}")
        .set("spark.executor.extraJavaOptions", _JAVA_OPTIONS)
    )
    for key, value in _SMALL_EPOCHS.items():
        conf = conf.set(key, value)
    # A session of its own: a signal to our process group must reach us, who can end the epoch first, and not the JVM.
    # It still ends with us, even when we are killed: it watches the pipe that it was started with.
    gateway = launch_gateway(conf, {"start_new_session": True})  # type: ignore[no-untyped-call]
    SparkContext._ensure_initialized(gateway=gateway, conf=conf)  # the one way to hand a gateway over
    spark = SparkSession.builder.config(conf=conf).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")  # faults reach us as exceptions; its warnings are about plans and pace
    return spark
