"""`python -m tests.ingestion.spark_decode JARS FOLDER`: what Java's Avro reads from bytes, as Spark sees it.

For every `NAME.avsc` in the folder there is `NAME.parquet` with `number` and `datum`; it gets a `NAME-read` with
`number` and the struct `read`, which is null where Java cannot read. A process of its own, since a Spark session in the
tests' process would be everybody's.
"""

import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.avro.functions import from_avro


def main(jars: str, folder: Path) -> None:
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.extraClassPath", f"{jars}/*")
        .config("spark.driver.memory", "1g")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .getOrCreate()
    )
    for schema in folder.glob("*.avsc"):
        frame = spark.read.parquet(str(folder / f"{schema.stem}.parquet"))
        read = from_avro(frame["datum"], schema.read_text("utf-8"), {"mode": "PERMISSIVE"}).alias("read")
        frame.select("number", read).write.parquet(str(folder / f"{schema.stem}-read"))
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
