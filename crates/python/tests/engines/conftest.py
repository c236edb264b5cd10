"""A session of Sail, or of Apache Spark where SPARK_REMOTE or SAMPLEWISE_SPARK says so."""

import os

import pytest


@pytest.fixture(scope="session")
def spark():
    from pyspark.sql import SparkSession

    remote = os.environ.get("SPARK_REMOTE")
    if os.environ.get("SAMPLEWISE_SPARK") == "classic":
        return SparkSession.builder.master("local[2]").getOrCreate()
    if remote is None:
        from pysail.spark import SparkConnectServer

        server = SparkConnectServer(ip="127.0.0.1", port=0)
        server.start()
        remote = f"sc://127.0.0.1:{server.listening_address[1]}"
        # The server lives as long as the session; to stop it can take minutes.
        spark.server = server
    return SparkSession.builder.remote(remote).getOrCreate()


def pytest_sessionfinish(session, exitstatus):
    session.config.samplewise_status = int(exitstatus)


def pytest_unconfigure(config):
    import sys

    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(getattr(config, "samplewise_status", 1))
